//! What the answer to a request must look like, byte for byte as far as that is known before it comes.
//!
//! Pure. The Modbus crate takes any well-formed answer for the right one and asserts in debug builds on short
//! ones; here an answer is compared with its request while it arrives, and only an exact fit is passed on.

use super::frame::{Framing, Mbap, crc};
use super::state::Trouble;

/// Longest frame in either framing.
pub const LONGEST: usize = 260;

/// What must come back for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    framing: Framing,
    transaction: u16,
    unit: u8,
    function: u8,
    body: Body,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// A read: this many bytes of data after the byte count.
    Data(u8),
    /// A write: address and value, or address and count, repeated.
    Echo([u8; 4]),
}

/// How far an answer has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Right so far, but not all there.
    Partial,
    /// All there: the frame is this long.
    Whole(usize),
}

impl Expected {
    /// From the request's frame; `None` when it is none that we send.
    pub fn of(framing: Framing, frame: &[u8]) -> Option<Self> {
        let (transaction, unit, pdu) = match framing {
            Framing::Tcp => {
                let header = Mbap::parse(*frame.first_chunk::<{ Mbap::LEN }>()?);
                let pdu = frame.get(Mbap::LEN..)?;
                (header.protocol == 0 && header.pdu_len() == Some(pdu.len())).then_some((
                    header.transaction,
                    header.unit,
                    pdu,
                ))?
            }
            Framing::RtuOverTcp => {
                let (unit, rest) = frame.split_first()?;
                (0, *unit, rest.get(..rest.len().checked_sub(2)?)?)
            }
        };
        let [function, a, b, c, d] = *pdu.first_chunk::<5>()?;
        let count = u16::from_be_bytes([c, d]);
        let body = match function {
            1 | 2 => Body::Data(u8::try_from(count.div_ceil(8)).ok()?),
            3 | 4 => Body::Data(u8::try_from(count.checked_mul(2)?).ok()?),
            5 | 6 | 15 | 16 => Body::Echo([a, b, c, d]),
            _ => return None,
        };
        Some(Self { framing, transaction, unit, function, body })
    }

    /// The same answer under another transaction id.
    pub fn numbered(self, transaction: u16) -> Self {
        Self { transaction, ..self }
    }

    /// Whether the request changes the device.
    pub fn writes(&self) -> bool {
        matches!(self.body, Body::Echo(_))
    }

    /// Compares what has arrived so far.
    pub fn check(&self, arrived: &[u8]) -> Result<Progress, Trouble> {
        match self.framing {
            Framing::Tcp => self.check_tcp(arrived),
            Framing::RtuOverTcp => self.check_rtu(arrived),
        }
    }

    fn check_tcp(&self, arrived: &[u8]) -> Result<Progress, Trouble> {
        // The length must be judged before anything waits for that many bytes.
        let Some(start) = arrived.first_chunk::<6>() else { return Ok(Progress::Partial) };
        let [t0, t1, p0, p1, l0, l1] = *start;
        let header = Mbap::parse([t0, t1, p0, p1, l0, l1, arrived.get(6).copied().unwrap_or(self.unit)]);
        let Some(pdu_len) = header.pdu_len().filter(|_| header.protocol == 0) else {
            return Err(Trouble::Frame);
        };
        if header.transaction != self.transaction {
            return Err(Trouble::Transaction);
        }
        if header.unit != self.unit {
            return Err(Trouble::Unit);
        }
        let pdu = arrived.get(Mbap::LEN..).unwrap_or_default();
        match self.check_pdu(pdu)? {
            Some(exact) if exact != pdu_len => Err(Trouble::Length),
            Some(exact) if pdu.len() >= exact => Ok(Progress::Whole(exact.saturating_add(Mbap::LEN))),
            Some(_) | None => Ok(Progress::Partial),
        }
    }

    fn check_rtu(&self, arrived: &[u8]) -> Result<Progress, Trouble> {
        let Some((unit, rest)) = arrived.split_first() else { return Ok(Progress::Partial) };
        if *unit != self.unit {
            return Err(Trouble::Unit);
        }
        let Some(exact) = self.check_pdu(rest)? else { return Ok(Progress::Partial) };
        let summed = exact.saturating_add(1);
        let whole = exact.saturating_add(3);
        match (arrived.get(..summed), arrived.get(summed..whole)) {
            (Some(bytes), Some(sum)) if sum == crc(bytes).to_le_bytes() => Ok(Progress::Whole(whole)),
            (Some(_), Some(_)) => Err(Trouble::Frame),
            _ => Ok(Progress::Partial),
        }
    }

    /// The exact length of the PDU, once its first byte is there; what is there is compared.
    fn check_pdu(&self, pdu: &[u8]) -> Result<Option<usize>, Trouble> {
        let Some((function, rest)) = pdu.split_first() else { return Ok(None) };
        if *function == self.function | 0x80 {
            return Ok(Some(2));
        }
        if *function != self.function {
            return Err(Trouble::Function);
        }
        match self.body {
            Body::Data(bytes) => {
                if rest.first().is_some_and(|count| *count != bytes) {
                    return Err(Trouble::Length);
                }
                Ok(Some(usize::from(bytes).saturating_add(2)))
            }
            Body::Echo(echo) => {
                if rest.iter().zip(echo).any(|(got, sent)| *got != sent) {
                    return Err(Trouble::Echo);
                }
                Ok(Some(5))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::modbus::frame::{rtu, tcp};

    fn read(count: u8) -> Expected {
        Expected::of(Framing::Tcp, &tcp(7, 1, &[3, 0, 0, 0, count])).unwrap()
    }

    #[test]
    fn exact_answer_is_whole_and_each_shorter_part_of_it_is_partial() {
        let answer = tcp(7, 1, &[3, 4, 0, 1, 0, 2]);
        for end in 0..answer.len() {
            assert_eq!(read(2).check(&answer[..end]), Ok(Progress::Partial), "{end} bytes");
        }
        assert_eq!(read(2).check(&answer), Ok(Progress::Whole(13)));
    }

    #[test]
    fn each_deviation_has_its_own_name() {
        let cases: [(&str, Vec<u8>, Trouble); 9] = [
            ("length 0", vec![0, 7, 0, 0, 0, 0], Trouble::Frame),
            ("length 0xFFFF", vec![0, 7, 0, 0, 0xFF, 0xFF], Trouble::Frame),
            ("protocol", vec![0, 7, 0, 7, 0, 7], Trouble::Frame),
            ("transaction", tcp(6, 1, &[3, 4, 0, 1, 0, 2]), Trouble::Transaction),
            ("unit", tcp(7, 9, &[3, 4, 0, 1, 0, 2]), Trouble::Unit),
            ("function", tcp(7, 1, &[4, 4, 0, 1, 0, 2]), Trouble::Function),
            ("exception of another function", tcp(7, 1, &[0x84, 2]), Trouble::Function),
            ("too few", tcp(7, 1, &[3, 2, 0, 1]), Trouble::Length),
            ("byte count beyond the frame", tcp(7, 1, &[3, 40, 0, 1, 0, 2]), Trouble::Length),
        ];
        for (name, bytes, trouble) in cases {
            assert_eq!(read(2).check(&bytes), Err(trouble), "{name}");
        }
    }

    #[test]
    fn write_must_be_confirmed_as_it_was_sent() {
        let sent = Expected::of(Framing::Tcp, &tcp(7, 1, &[6, 0, 5, 4, 210])).unwrap();
        assert_eq!(sent.check(&tcp(7, 1, &[6, 0, 5, 4, 210])), Ok(Progress::Whole(12)));
        assert_eq!(sent.check(&tcp(7, 1, &[6, 0, 5, 39, 15])), Err(Trouble::Echo));
        assert_eq!(sent.check(&tcp(7, 1, &[0x86, 2])), Ok(Progress::Whole(9)));
    }

    #[test]
    fn serial_answer_needs_its_check_sum() {
        let expected = Expected::of(Framing::RtuOverTcp, &rtu(1, &[3, 0, 0, 0, 2])).unwrap();
        let mut answer = rtu(1, &[3, 4, 0, 1, 0, 2]);
        assert_eq!(expected.check(&answer), Ok(Progress::Whole(9)));
        answer[4] ^= 1;
        assert_eq!(expected.check(&answer), Err(Trouble::Frame));
    }

    proptest! {
        /// The body of the decoder's fuzz target: any bytes, either framing.
        #[test]
        fn no_bytes_can_upset_the_comparison(bytes: Vec<u8>, serial: bool, count in 1u8..=125) {
            let pdu = [3, 0, 0, 0, count];
            let expected = if serial {
                Expected::of(Framing::RtuOverTcp, &rtu(1, &pdu))
            } else {
                Expected::of(Framing::Tcp, &tcp(7, 1, &pdu))
            };
            if let Ok(Progress::Whole(length)) = expected.unwrap().check(&bytes) {
                prop_assert!(length <= bytes.len() && length <= LONGEST);
            }
        }
    }
}
