//! The faces as their readers meet them: over a real socket.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::explain::Explanation;
use super::inbox::Inbox;
use super::published::{Published, Quality};
use super::table::{Kind, TABLE};
use super::{Handle, start};

/// A running server and the daemon's end of its channel.
struct Served {
    at: SocketAddr,
    daemon: watch::Sender<Arc<Published>>,
    handle: Handle,
}

fn serve(published: Published) -> Served {
    let (daemon, receiver) = watch::channel(Arc::new(published));
    let (at, handle) = start(SocketAddr::from(([127, 0, 0, 1], 0)), receiver, Inbox::default()).unwrap();
    Served { at, daemon, handle }
}

/// An answer: status, head in lower case, body.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Served {
    fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.at))
    }

    fn ask(&self, request: &str) -> Answer {
        let mut stream = connect(self.at);
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        let head = head.to_ascii_lowercase();
        assert!(!head.contains("transfer-encoding"), "bodies have a known length: {head}");
        Answer { status, head, body: body.to_owned() }
    }
}

fn connect(at: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// The value of a series, written as in the text format.
fn series(metrics: &str, name: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn every_face_answers_with_manners() {
    let served = serve(Published::example());
    for (path, kind) in [
        ("/", "text/html"),
        ("/live", "text/html"),
        ("/page.css", "text/css"),
        ("/page.js", "text/javascript"),
        ("/icon.svg", "image/svg+xml"),
        ("/metrics", "text/plain; version=0.0.4"),
        ("/healthz", "text/plain"),
        ("/readyz", "text/plain"),
        ("/api/v1/state", "application/json"),
        ("/api/v1/explain", "application/json"),
        ("/api/v1/events", "application/json"),
    ] {
        let answer = served.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert!(answer.head.contains(&format!("content-type: {kind}")), "{path}: {}", answer.head);
        assert!(
            answer.head.contains("content-security-policy: default-src 'none'"),
            "{path}: {}",
            answer.head
        );
        assert!(answer.head.contains("x-content-type-options: nosniff"), "{path}");
    }
}

#[test]
fn what_is_not_there_says_what_is() {
    let answer = serve(Published::example()).get("/metricz");
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("/metricz") && answer.body.contains("/api/v1/state"), "{}", answer.body);
}

#[test]
fn without_a_token_nothing_can_be_changed_through_it() {
    let served = serve(Published::example());
    let post = |path: &str, more: &str| {
        served.ask(&format!("POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{more}", served.at))
    };
    assert_eq!(post("/api/v1/state", "Content-Length: 0\r\n\r\n").status, 405);
    assert_eq!(post("/api/v1/state", "Content-Length: 4\r\n\r\nevil").status, 413);
    let order = |more: &str| post("/api/v1/orders", more);
    assert_eq!(order("Content-Length: 16\r\n\r\n{\"order\":\"hold\"}").status, 403, "no token, no orders");
    assert_eq!(order("Content-Length: 2000\r\n\r\n").status, 413);
    assert_eq!(order("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n").status, 413);
}

#[test]
fn a_foreign_name_that_points_here_is_refused() {
    let served = serve(Published::example());
    let answer = served.ask("GET / HTTP/1.1\r\nHost: rebound.example.com\r\nConnection: close\r\n\r\n");
    assert_eq!(answer.status, 421);
    assert!(!answer.body.contains("Alpine hut"));
}

#[test]
fn n13_a_client_that_never_finishes_its_request_does_not_block_the_others() {
    let served = serve(Published::example());
    let slow: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut stream = connect(served.at);
            stream.write_all(b"GET / HTTP/1.1\r\nHost: 127").unwrap();
            stream
        })
        .collect();
    assert_eq!(served.get("/healthz").status, 200);
    // It is cut off in the end: the read returns instead of running into its own time limit.
    let mut first = slow.into_iter().next().unwrap();
    let mut rest = Vec::new();
    match first.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[test]
fn n13_more_clients_than_there_are_seats_wait_their_turn_and_are_served() {
    let served = serve(Published::example());
    // They take every seat and say nothing, until the server has had enough of each.
    let _idle: Vec<TcpStream> = (0..200).map(|_| connect(served.at)).collect();
    assert_eq!(served.get("/healthz").status, 200);
}

#[test]
fn n13_a_request_with_an_endless_head_is_cut_off() {
    let served = serve(Published::example());
    let long = "x".repeat(64 * 1024);
    let mut stream = connect(served.at);
    // The server may cut it off while it is still being sent.
    let _sent =
        stream.write_all(format!("GET / HTTP/1.1\r\nHost: {}\r\nX: {long}\r\n\r\n", served.at).as_bytes());
    let mut answer = Vec::new();
    let _reset = stream.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains(" 200 "));
    assert_eq!(served.get("/healthz").status, 200);
}

#[test]
fn the_site_is_ready_once_it_decides_and_alive_before() {
    let served = serve(Published { decision: None, ..Published::example() });
    assert_eq!(served.get("/healthz").status, 200);
    let waiting = served.get("/readyz");
    assert_eq!(waiting.status, 503);
    assert!(waiting.body.contains("no decision yet"), "{}", waiting.body);

    served.daemon.send_replace(Arc::new(Published::example()));
    assert_eq!(served.get("/readyz").status, 200);

    let mut old = Published::example();
    old.now_ms += 60_000;
    served.daemon.send_replace(Arc::new(old));
    assert_eq!(served.get("/readyz").status, 503);
    assert!(served.get("/").body.contains("What you see is old"));
}

#[test]
fn a_stopped_server_gives_its_port_back() {
    let Served { at, daemon, handle } = serve(Published::example());
    handle.stop();
    drop(daemon);
    assert!(TcpStream::connect(at).is_err());
}

#[test]
fn an_address_in_use_says_what_to_do() {
    let served = serve(Published::default());
    let (_daemon, receiver) = watch::channel(Arc::default());
    let refused = start(served.at, receiver, Inbox::default()).unwrap_err().to_string();
    assert!(refused.contains(&served.at.to_string()) && refused.contains("--listen"), "{refused}");
}

#[test]
fn the_state_reads_back_as_it_was_published() {
    let example = Published::example();
    let body = serve(example.clone()).get("/api/v1/state").body;
    assert_eq!(serde_json::from_str::<Published>(&body).unwrap(), example);
}

#[test]
fn the_ladder_is_told_in_words_and_numbers() {
    let served = serve(Published::example());
    let told: Explanation = serde_json::from_str(&served.get("/api/v1/explain").body).unwrap();
    assert_eq!(told.order, "the battery is told to charge 1\u{202f}460\u{202f}W");
    assert_eq!(told.binding.unwrap().code, "self");
    let narrowed: Vec<&str> =
        told.rungs.iter().filter(|rung| rung.narrowed).map(|rung| &*rung.tier).collect();
    assert_eq!(narrowed, ["0 device and authority", "1 battery protection", "7 self-consumption"]);
    let request = format!(
        "GET /api/v1/explain HTTP/1.1\r\nHost: {}\r\nAccept: text/plain\r\nConnection: close\r\n\r\n",
        served.at
    );
    let words = served.ask(&request).body;
    assert_eq!(words, told.words);
    assert!(words.contains("the grid is steered to 0 W") && words.contains("Wanted: to charge"), "{words}");
}

#[test]
fn the_page_reads_without_a_script() {
    let page = serve(Published::example()).get("/").body;
    let parts = [
        "Alpine hut",
        "in control",
        "charge 1\u{202f}460\u{202f}W",
        "the grid is steered to 0 W",
        "81.3\u{202f}%",
    ];
    for words in parts {
        assert!(page.contains(words), "{words}");
    }
    assert!(page.contains("diesel") && page.contains("unproven on hardware"));
    let weight = page.len() + super::page::STYLE.len() + super::page::SCRIPT.len();
    assert!(weight < 60_000, "the page weighs {weight} bytes");
    assert!(!page.contains("{{"), "every place is filled");
    for outside in ["http://", "https://", "style=", "onclick"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn what_devices_and_profiles_say_cannot_become_markup() {
    let evil = "<script>alert('x')</script>";
    let mut published = Published::example();
    published.site = evil.to_owned();
    published.devices[0].name = evil.to_owned();
    published.devices[0].error = evil.to_owned();
    published.events[0].text = evil.to_owned();
    published.alarms[0].active = true;
    published.alarms[0].text = evil.to_owned();
    published.generator.as_mut().unwrap().name = evil.to_owned();
    published.decision.as_mut().unwrap().inverters[0].name = evil.to_owned();
    published.decision.as_mut().unwrap().reasons[2].words = evil.to_owned();
    assert!(!serve(published).get("/").body.contains("<script>alert"));
}

#[test]
fn an_observing_site_says_that_it_writes_nothing() {
    let mut published = Published::example();
    published.control = super::published::Control::Observe;
    let served = serve(published);
    assert!(served.get("/").body.contains("Nothing is written"));
    assert!(served.get("/api/v1/explain").body.contains("nothing is written"));
}

#[test]
fn a_site_that_knows_nothing_still_has_a_page_and_metrics() {
    let served = serve(Published::default());
    assert!(served.get("/").body.contains("No decision yet"));
    let metrics = served.get("/metrics").body;
    assert_eq!(series(&metrics, "ess_clock_trusted"), Some(0.0));
    assert!(!metrics.contains("ess_battery_order_watts"));
    assert!(!metrics.contains("ess_grid_power_watts"));
}

#[test]
fn metrics_carry_the_sites_values_in_base_units() {
    let metrics = serve(Published::example()).get("/metrics").body;
    for (name, value) in [
        ("ess_battery_soc_ratio{battery=\"site\",bound=\"best\"}", 0.813),
        ("ess_battery_power_watts{battery=\"site\"}", -1_384.0),
        ("ess_grid_power_watts{phase=\"l2\"}", -388.0),
        ("ess_grid_energy_joules_total{direction=\"import\"}", 4.1e6),
        ("ess_pv_power_watts{device=\"west\"}", 640.0),
        ("ess_load_power_watts{phase=\"all\"}", 1_432.0),
        ("ess_inverter_setpoint_watts{device=\"gx\"}", -1_460.0),
        ("ess_inverter_setpoint_error_watts{device=\"gx\"}", -8.0),
        ("ess_mode{mode=\"auto\"}", 1.0),
        ("ess_mode{mode=\"observe\"}", 0.0),
        ("ess_policy_active{policy=\"self-consumption\"}", 1.0),
        ("ess_policy_active{policy=\"battery-protection\"}", 0.0),
        ("ess_binding_reason_info{reason=\"self\",policy=\"self-consumption\"}", 1.0),
        ("ess_generator_state{generator=\"diesel\",state=\"stopped\"}", 1.0),
        ("ess_device_up{device=\"diesel\"}", 0.0),
        ("ess_device_last_success_timestamp_seconds{device=\"gx\"}", 1_780_307_999.58),
        ("ess_modbus_requests_total{device=\"gx\",fc=\"3\"}", 5_210.0),
        ("ess_modbus_request_seconds_count{device=\"gx\"}", 7_308.0),
        ("ess_tick_duration_seconds_count", 3_590.0),
        ("ess_input_stage{input=\"soc\"}", 1.0),
        ("ess_alarm_active{alarm=\"meter-lost\",severity=\"page\",device=\"\"}", 0.0),
    ] {
        assert_eq!(series(&metrics, name), Some(value), "{name}");
    }
}

#[test]
fn a_value_without_good_quality_is_absent() {
    for quality in [Quality::Held, Quality::Unknown] {
        let mut published = Published::example();
        published.signals.iter_mut().for_each(|signal| signal.quality = quality);
        let metrics = serve(published).get("/metrics").body;
        for name in [
            "ess_battery_soc_ratio",
            "ess_grid_power",
            "ess_pv_power",
            "ess_load_power",
            "ess_grid_connected",
        ] {
            assert!(!metrics.contains(name), "{name} with {quality:?}");
        }
        assert!(metrics.contains("ess_device_up"), "what tells why stays");
    }
}

#[test]
fn the_sum_over_phases_is_the_sites_power_or_nothing() {
    let sum = |published: Published| {
        let metrics = serve(published).get("/metrics").body;
        let lines: Vec<f64> = metrics
            .lines()
            .filter(|line| line.starts_with("ess_grid_power_watts{"))
            .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
            .collect();
        (!lines.is_empty()).then(|| lines.iter().sum::<f64>())
    };
    let mut published = Published::example();
    assert_eq!(sum(published.clone()), Some(34.0));
    // One conductor silent: the total speaks alone.
    published.signals.iter_mut().find(|signal| signal.name == "grid.power.l2").unwrap().quality =
        Quality::Unknown;
    assert_eq!(sum(published.clone()), Some(34.0));
    published.signals.iter_mut().find(|signal| signal.name == "grid.power").unwrap().quality = Quality::Held;
    assert_eq!(sum(published), None);
}

#[test]
fn a_meter_that_is_only_known_by_its_device_is_the_sites_grid() {
    let mut published = Published::example();
    published.signals.retain(|signal| signal.quantity != "grid.power");
    for device in ["meter", "spare"] {
        published.signals.push(super::published::Signal {
            quantity: "grid.power".into(),
            device: Some(device.to_owned()),
            value: Some(250.0),
            quality: Quality::Good,
            ..Default::default()
        });
    }
    let metrics = serve(published).get("/metrics").body;
    assert_eq!(series(&metrics, "ess_grid_power_watts{phase=\"all\"}"), Some(250.0));
    assert_eq!(metrics.matches("\ness_grid_power_watts{").count(), 1);
}

#[test]
fn the_picture_shows_no_number_for_what_is_not_known() {
    let mut published = Published::example();
    let picture = |published: &Published| {
        let page = serve(published.clone()).get("/live").body;
        let (_, label) = page.split_once("aria-label='").unwrap();
        label.split_once('\'').unwrap().0.to_owned()
    };
    assert!(picture(&published).contains("Generator 0\u{202f}W stopped"));
    published.signals.iter_mut().for_each(|signal| signal.quality = Quality::Unknown);
    for name in ["Solar", "Grid", "Loads", "Battery", "Generator"] {
        assert!(picture(&published).contains(&format!("{name} unknown")), "{name}");
    }
}

#[test]
fn the_metrics_text_is_well_formed_and_in_the_table() {
    let metrics = serve(Published::example()).get("/metrics").body;
    assert_well_formed(&metrics);
    assert_well_formed(&serve(Published::default()).get("/metrics").body);
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        println!("skipped: no promtool");
        return;
    };
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && words.trim().is_empty(), "promtool: {words}");
}

/// Checks every line against the text format and the table: help and type first, known labels, no series twice.
#[track_caller]
fn assert_well_formed(metrics: &str) {
    let mut seen = std::collections::BTreeSet::new();
    let mut current = None;
    for line in metrics.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            let spec = TABLE.iter().map(|id| id.spec()).find(|spec| spec.name == name);
            assert_eq!(spec.map(|spec| spec.help), Some(help), "{line}");
            current = spec;
            continue;
        }
        let spec = current.unwrap();
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            assert_eq!(kind, format!("{} {}", spec.name, spec.kind.name()));
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
        assert!(seen.insert(series.to_owned()), "twice: {line}");
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
            None => (series, ""),
        };
        match spec.kind {
            Kind::Summary => {
                assert!(name.strip_prefix(spec.name).is_some_and(|end| end == "_sum" || end == "_count"))
            }
            Kind::Gauge | Kind::Counter => assert_eq!(name, spec.name),
        }
        let mut names: Vec<&str> = labels
            .split("\",")
            .filter(|l| !l.is_empty())
            .map(|label| label.split_once("=\"").unwrap().0)
            .collect();
        let mut wanted = spec.labels.to_vec();
        names.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(names, wanted, "{line}");
    }
}
