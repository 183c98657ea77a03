//! The one way by which anything from outside changes the site: who may, and a bounded queue to the control loop.

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::orders::{self, Order};
use super::overlays::{self, Overlay};
use super::plans::{self, Plan};

/// What may wait for the control loop.
pub const WAITING: usize = 8;
/// Where something can be asked for, and the most bytes it takes.
pub const PATHS: [(&str, u64); 3] = [(orders::PATH, 1_024), (overlays::PATH, 1_024), (plans::PATH, 65_536)];

/// The secret that lets somebody give orders. Not shown by `Debug`.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl Token {
    /// This one.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// As it is written.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether this is it, in a time that does not tell how much of it was right.
    fn is(&self, other: &str) -> bool {
        let (own, other) = (self.0.as_bytes(), other.as_bytes());
        let differs = own.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b));
        own.len() == other.len() && differs == 0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Whatever somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// An order for battery or generator.
    Order(Order),
    /// A plan, for as long as it is leased.
    Plan(Plan),
    /// An overlay of the profile.
    Overlay(Overlay),
}

/// Says of an overlay what would be wrong with the profile under it.
pub type Judge = Arc<dyn Fn(&Overlay) -> Result<(), String> + Send + Sync>;

/// The way of what is asked to the control loop; one that takes nothing when it has no token.
#[derive(Clone, Default)]
pub struct Inbox {
    door: Option<Door>,
}

#[derive(Clone)]
struct Door {
    token: Token,
    judge: Judge,
    send: mpsc::Sender<Asked>,
}

/// What is answered: a status and words.
type Answer = (StatusCode, String);

impl Inbox {
    /// An inbox for those who know the token, and its other end.
    #[must_use]
    pub fn new(token: Token, judge: Judge) -> (Self, mpsc::Receiver<Asked>) {
        let (send, receive) = mpsc::channel(WAITING);
        (Self { door: Some(Door { token, judge, send }) }, receive)
    }

    /// Another way in, for what does not come over the API.
    #[must_use]
    pub fn sender(&self) -> Option<mpsc::Sender<Asked>> {
        self.door.as_ref().map(|door| door.send.clone())
    }

    /// Takes one request to one of the [`PATHS`]; the words say what becomes of it, or why not.
    pub(super) fn take(&self, path: &str, headers: &HeaderMap, body: &[u8]) -> Answer {
        let Some(door) = &self.door else {
            return (
                StatusCode::FORBIDDEN,
                "this site takes no orders: it keeps no state, so no token\n".into(),
            );
        };
        let said = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if !said.and_then(|said| said.strip_prefix("Bearer ")).is_some_and(|said| door.token.is(said.trim()))
        {
            let why = "an order needs the operator's token: `wattkeeper token` prints it on the machine itself; \
                       send it as `Authorization: Bearer TOKEN`\n";
            return (StatusCode::UNAUTHORIZED, why.into());
        }
        match door.read(path, body) {
            Ok(asked) => door.pass(asked),
            Err(answer) => answer,
        }
    }
}

impl Door {
    fn read(&self, path: &str, body: &[u8]) -> Result<Asked, Answer> {
        let senseless = |why: &str| (StatusCode::UNPROCESSABLE_ENTITY, format!("{why}\n"));
        match path {
            plans::PATH => {
                let plan: Plan = decoded(body, "plan")?;
                plan.check().map_err(|why| senseless(&why))?;
                Ok(Asked::Plan(plan))
            }
            overlays::PATH => {
                let overlay: Overlay = decoded(body, "overlay")?;
                overlay.check().map_err(senseless)?;
                if !overlay.off {
                    (self.judge)(&overlay).map_err(|why| senseless(&why))?;
                }
                Ok(Asked::Overlay(overlay))
            }
            _ => {
                let order: Order = decoded(body, "order")?;
                order.check().map_err(senseless)?;
                Ok(Asked::Order(order))
            }
        }
    }

    fn pass(&self, asked: Asked) -> Answer {
        match self.send.try_send(asked) {
            Ok(()) => (StatusCode::ACCEPTED, "taken; `wattkeeper explain` shows what becomes of it\n".into()),
            Err(mpsc::error::TrySendError::Full(_)) => {
                (StatusCode::SERVICE_UNAVAILABLE, "too many orders at once; try again in a second\n".into())
            }
            Err(mpsc::error::TrySendError::Closed(_)) => {
                (StatusCode::SERVICE_UNAVAILABLE, "the site is leaving\n".into())
            }
        }
    }
}

fn decoded<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T, Answer> {
    serde_json::from_slice(body)
        .map_err(|error| (StatusCode::BAD_REQUEST, format!("this is no {what}: {error}\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_knows_the_token_gives_orders_and_never_more_than_the_loop_can_take() {
        let (inbox, mut orders) = Inbox::new(Token::new("secret"), Arc::new(|_| Ok(())));
        let ask = |said: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, said.parse().unwrap());
            inbox.take(orders::PATH, &headers, br#"{"order":"hold"}"#).0
        };
        for said in ["Bearer secreT", "Bearer secret1", "Bearer ", "secret", "Basic secret"] {
            assert_eq!(ask(said), StatusCode::UNAUTHORIZED, "{said}");
        }
        assert_eq!(inbox.take(orders::PATH, &HeaderMap::new(), b"").0, StatusCode::UNAUTHORIZED);
        assert!(orders.try_recv().is_err());
        for _ in 0..WAITING {
            assert_eq!(ask("Bearer secret"), StatusCode::ACCEPTED);
        }
        assert_eq!(ask("Bearer secret"), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(Inbox::default().take(orders::PATH, &HeaderMap::new(), b"").0, StatusCode::FORBIDDEN);
    }

    #[test]
    fn an_overlay_that_would_spoil_the_profile_is_refused_with_the_reason_and_taking_one_off_never_is() {
        let judge: Judge = Arc::new(|overlay| {
            overlay.set.as_ref().map_or(Ok(()), |set| Err(format!("{set} is below the reserve")))
        });
        let (inbox, mut taken) = Inbox::new(Token::new("secret"), judge);
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, "Bearer secret".parse().unwrap());
        let (status, why) = inbox.take(overlays::PATH, &headers, br#"{"set":"policy.battery.floor=1"}"#);
        assert_eq!(
            (status, why.trim()),
            (StatusCode::UNPROCESSABLE_ENTITY, "policy.battery.floor=1 is below the reserve")
        );
        assert!(taken.try_recv().is_err());
        for body in [r#"{"overlay":"storm"}"#, r#"{"overlay":"policy.battery.floor","off":true}"#] {
            assert_eq!(inbox.take(overlays::PATH, &headers, body.as_bytes()).0, StatusCode::ACCEPTED);
            assert!(matches!(taken.try_recv(), Ok(Asked::Overlay(_))));
        }
    }
}
