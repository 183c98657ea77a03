//! What only a real network does: refused, black-holed, half-open and reset connections over TCP, and lossy links.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::fake::{Fake, Part, at_once, good, link_in_memory, options, pacer, patient, read, request, write};
use wattkeeper::device::exchange::Failure;
use wattkeeper::modbus::dial::{Dial, Tcp};
use wattkeeper::modbus::frame::Framing;
use wattkeeper::modbus::link::{Link, LinkOptions};
use wattkeeper::modbus::state::Trouble;

fn link(dial: impl Dial + 'static) -> Link {
    Link::new(options(Framing::Tcp), Arc::new(dial), pacer())
}

/// A port that is taken and does not listen yet.
fn unlistened() -> (TcpSocket, Tcp) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, Tcp::new("127.0.0.1", port))
}

/// Answers everything on one connection.
async fn answer_all<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    while let Some(question) = request(Framing::Tcp, &mut stream).await {
        if stream.write_all(&good(0, &question)).await.is_err() {
            break;
        }
    }
}

async fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer_all(stream));
    }
}

#[tokio::test]
async fn n1_refused_connection_is_no_value_and_heard_again_once_the_device_listens() {
    let (socket, dial) = unlistened();
    let mut link = link(dial);
    assert_eq!(link.exchange(&patient(read(1, 2))).await, Err(Failure::Unreachable));
    let refused = link.state().borrow().last_trouble;
    assert_eq!(refused, Some(Trouble::Connect(std::io::ErrorKind::ConnectionRefused)));
    tokio::spawn(serve(socket.listen(4).unwrap()));
    assert_eq!(link.exchange(&patient(read(1, 2))).await, Ok(vec![1_000; 2]));
    assert!(link.state().borrow().up);
}

#[tokio::test]
async fn n2_host_that_swallows_connections_is_given_up_and_heard_once_it_accepts() {
    let (socket, dial) = unlistened();
    let listener = socket.listen(1).unwrap();
    // Once the backlog is full, the system drops what else arrives.
    let mut waiting = Vec::new();
    let address = listener.local_addr().unwrap();
    while let Ok(stream) = tokio::time::timeout(Duration::from_secs(1), TcpStream::connect(address)).await {
        waiting.push(stream.unwrap());
        assert!(waiting.len() < 64, "the backlog does not fill");
    }
    let impatient = LinkOptions { connect: Duration::from_secs(1), ..options(Framing::Tcp) };
    let mut link = Link::new(impatient, Arc::new(dial), pacer());
    assert_eq!(link.exchange(&patient(read(1, 2))).await, Err(Failure::Unreachable));
    let swallowed = link.state().borrow().last_trouble;
    assert_eq!(swallowed, Some(Trouble::Connect(std::io::ErrorKind::TimedOut)));
    drop(waiting);
    tokio::spawn(serve(listener));
    // The system may offer the freed places a little later.
    let mut heard = Err(Failure::Unreachable);
    for _ in 0..8 {
        heard = link.exchange(&patient(read(1, 2))).await;
        if heard.is_ok() {
            break;
        }
    }
    assert_eq!(heard, Ok(vec![1_000; 2]));
}

#[tokio::test]
async fn n3_half_open_connection_is_replaced_and_the_write_on_it_is_not_sent_again() {
    let (socket, dial) = unlistened();
    let listener = socket.listen(4).unwrap();
    let wrote = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&wrote);
    // The first connection dies without a word after its first answer: its device has restarted.
    tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.unwrap();
        let question = request(Framing::Tcp, &mut first).await.unwrap();
        first.write_all(&good(0, &question)).await.unwrap();
        let (mut second, _) = listener.accept().await.unwrap();
        while let Some(question) = request(Framing::Tcp, &mut second).await {
            seen.fetch_or(question[7] >= 5, Ordering::SeqCst);
            second.write_all(&good(0, &question)).await.unwrap();
        }
    });
    let mut link = link(dial);
    assert!(link.exchange(&patient(read(1, 2))).await.is_ok());
    assert_eq!(link.exchange(&patient(write(1, 7))).await, Err(Failure::Timeout));
    for _ in 0..3 {
        assert_eq!(link.exchange(&patient(read(1, 2))).await, Ok(vec![1_000; 2]));
    }
    assert_eq!(link.state().borrow().connects, 2);
    assert!(!wrote.load(Ordering::SeqCst), "only a new decision writes again");
}

#[tokio::test]
async fn n6_device_that_resets_a_second_client_says_so_and_is_heard_when_it_is_free() {
    let (socket, dial) = unlistened();
    let listener = socket.listen(4).unwrap();
    let taken = Arc::new(AtomicBool::new(true));
    let busy = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            if busy.load(Ordering::SeqCst) {
                let _question = request(Framing::Tcp, &mut stream).await;
                stream.set_zero_linger().unwrap();
            } else {
                tokio::spawn(answer_all(stream));
            }
        }
    });
    let mut link = link(dial);
    assert_eq!(link.exchange(&patient(read(1, 2))).await, Err(Failure::Unreachable));
    let trouble = link.state().borrow().last_trouble.unwrap();
    assert_eq!(trouble, Trouble::Reset);
    assert!(trouble.to_string().contains("does not allow another client"), "{trouble}");
    taken.store(false, Ordering::SeqCst);
    assert_eq!(link.exchange(&patient(read(1, 2))).await, Ok(vec![1_000; 2]));
}

#[tokio::test(start_paused = true)]
async fn n7_lossy_link_with_jitter_loses_what_was_lost_and_nothing_more() {
    for seed in 1..=5_u16 {
        // A third of the answers never come, the others within the deadline.
        let chance = move |k: u16| k.wrapping_mul(40_503).wrapping_add(seed.wrapping_mul(25_173)) >> 4;
        let gone = move |k: u16| chance(k) % 3 == 0;
        let fake = Fake::new(move |k, q| match gone(k) {
            true => vec![],
            false => vec![Part::After(u64::from(chance(k) % 90), good(k, q))],
        });
        let mut link = link_in_memory(&fake);
        let mut lost = 0;
        for k in 0..200 {
            match link.exchange(&read(1, 2)).await {
                Ok(words) => assert_eq!(words, [1_000 + k; 2]),
                Err(failure) => {
                    assert_eq!(failure, Failure::Timeout);
                    lost += 1;
                }
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let due = (0..200).filter(|k| gone(*k)).count();
        assert!((20..=120).contains(&due), "{due} of 200 answers lost");
        assert_eq!((lost, fake.asked()), (due, 200));
    }
}

#[tokio::test]
async fn n8_segments_of_one_byte_over_tcp_are_put_together() {
    let fake = Fake::new(|k, q| good(k, q).into_iter().map(|byte| Part::After(1, vec![byte])).collect());
    let mut link = link(fake.on_tcp().await);
    for k in 0..4 {
        assert_eq!(link.exchange(&patient(read(1, 2))).await, Ok(vec![1_000 + k; 2]));
    }
    assert_eq!(fake.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn n8_answer_cut_anywhere_is_put_together() {
    for cut in 1..12 {
        let fake = Fake::new(move |k, q| {
            let frame = good(k, q);
            vec![Part::After(0, frame[..cut].to_vec()), Part::After(5, frame[cut..].to_vec())]
        });
        let mut link = link_in_memory(&fake);
        assert_eq!(link.exchange(&read(1, 2)).await, Ok(vec![1_000; 2]), "cut after {cut} bytes");
    }
    let whole = Fake::new(|k, q| at_once(good(k, q)));
    assert!(link_in_memory(&whole).exchange(&read(1, 125)).await.is_ok(), "the longest answer");
}
