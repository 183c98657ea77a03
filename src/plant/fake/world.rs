//! The plant and its fake devices, behind one door: time passes, and frames are answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::device::exchange::Request;
use crate::modbus::frame;
use crate::plant::Plant;

use super::device::FakeDevice;
use super::misbehave::{Misbehaviour, Spell};
use super::wire;

/// A plant with its devices.
#[derive(Debug)]
pub struct World {
    /// What is true.
    pub plant: Plant,
    devices: Vec<FakeDevice>,
}

/// A world that a stepping task and connections share. It is never held across a wait.
pub type Shared = Arc<Mutex<World>>;

/// Opens a shared world. A connection that died inside it has changed nothing that the next one could trip over.
pub fn open(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a connection does with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing.
    Silence,
    /// Ends the connection.
    Close,
    /// Sends.
    Send {
        /// The frame.
        bytes: Vec<u8>,
        /// Before it.
        wait: Duration,
        /// Between its two halves.
        split: Option<Duration>,
    },
}

impl World {
    /// A plant without devices.
    #[must_use]
    pub fn new(plant: Plant) -> Self {
        Self { plant, devices: Vec::new() }
    }

    /// Adds a device; its number is what `answer` takes.
    pub fn add(&mut self, device: FakeDevice) -> usize {
        self.devices.push(device);
        self.devices.len() - 1
    }

    /// The devices in the order in which they were added.
    #[must_use]
    pub fn devices(&self) -> &[FakeDevice] {
        &self.devices
    }

    /// Lets a short time pass for plant and devices.
    pub fn step(&mut self, seconds: f64) {
        self.plant.step(seconds);
        for device in &mut self.devices {
            device.pass(&mut self.plant);
        }
    }

    /// Makes a device wrong: for so many requests, or until it is cleared; at one unit, or at all.
    pub fn misbehave(&mut self, device: usize, kind: Misbehaviour, times: Option<u32>, unit: Option<u8>) {
        if let Some(device) = self.devices.get_mut(device) {
            device.spells.add(Spell { kind, times, unit });
        }
    }

    /// Makes a device right again.
    pub fn behave(&mut self, device: usize) {
        if let Some(device) = self.devices.get_mut(device) {
            device.spells.clear();
        }
    }

    /// Asks a well-behaved device without a wire between: its words, or its exception.
    ///
    /// # Errors
    /// The exception that the device answers with; 11 when there is no such device.
    pub fn ask(&mut self, device: usize, request: &Request) -> Result<Vec<u16>, u8> {
        let device = self.devices.get_mut(device).ok_or(11)?;
        device.answer(request, &mut self.plant, false)
    }

    /// What a device does with a frame.
    pub fn answer(&mut self, device: usize, transaction: u16, unit: u8, pdu: &[u8]) -> Reply {
        let Some(device) = self.devices.get_mut(device) else { return Reply::Close };
        let at_once = |bytes| Reply::Send { bytes, wait: Duration::ZERO, split: None };
        let request = match wire::parse(unit, pdu) {
            Ok(request) => request,
            Err(exception) => {
                let code = pdu.first().copied().unwrap_or(0);
                return at_once(frame::tcp(transaction, unit, &wire::refusal(code, exception)));
            }
        };
        let wrong = device.spells.meet(&request);
        let result = match wrong {
            Some(Misbehaviour::Exception(code) | Misbehaviour::RefusedWrites(code)) => {
                if request.function.writes() {
                    device.note(&request, Some(code), &self.plant);
                }
                Err(code)
            }
            _ => {
                let ignored = wrong == Some(Misbehaviour::IgnoredWrites);
                device.answer(&request, &mut self.plant, ignored)
            }
        };
        let mut right = wire::answer(&request, &result);
        match wrong {
            Some(Misbehaviour::Lost) => Reply::Silence,
            Some(Misbehaviour::Close) => Reply::Close,
            Some(Misbehaviour::Late(wait)) => {
                Reply::Send { bytes: frame::tcp(transaction, unit, &right), wait, split: None }
            }
            Some(Misbehaviour::Split(apart)) => Reply::Send {
                bytes: frame::tcp(transaction, unit, &right),
                wait: Duration::ZERO,
                split: Some(apart),
            },
            Some(Misbehaviour::WrongTransaction) => {
                at_once(frame::tcp(transaction.wrapping_add(0x1111), unit, &right))
            }
            Some(Misbehaviour::WrongUnit) => at_once(frame::tcp(transaction, unit.wrapping_add(1), &right)),
            Some(Misbehaviour::Short) => {
                shorten(&mut right);
                at_once(frame::tcp(transaction, unit, &right))
            }
            Some(Misbehaviour::Long) => {
                lengthen(&mut right);
                at_once(frame::tcp(transaction, unit, &right))
            }
            Some(Misbehaviour::Garbage) => at_once(vec![0xA5; 23]),
            Some(Misbehaviour::Duplicate) => {
                let bytes = frame::tcp(transaction, unit, &right);
                at_once([bytes.clone(), bytes].concat())
            }
            Some(
                Misbehaviour::Exception(_)
                | Misbehaviour::RefusedWrites(_)
                | Misbehaviour::IgnoredWrites
                | Misbehaviour::Frozen
                | Misbehaviour::Sentinel(..),
            )
            | None => at_once(frame::tcp(transaction, unit, &right)),
        }
    }
}

/// One word less than asked, with a byte count that agrees.
fn shorten(pdu: &mut Vec<u8>) {
    let less = if pdu.len() > 4 { 2 } else { 1 };
    pdu.truncate(pdu.len().saturating_sub(less));
    recount(pdu);
}

/// One word more than asked, with a byte count that agrees.
fn lengthen(pdu: &mut Vec<u8>) {
    pdu.extend([0, 0]);
    recount(pdu);
}

fn recount(pdu: &mut [u8]) {
    let count = u8::try_from(pdu.len().saturating_sub(2)).unwrap_or(u8::MAX);
    if let [1..=4, length, ..] = pdu {
        *length = count;
    }
}
