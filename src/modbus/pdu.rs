//! Our requests in the Modbus crate's words, and its answers in ours.

use std::borrow::Cow;

use tokio_modbus::{Request as Call, Response};

use crate::device::exchange::{Answer, Function, Request};

/// The request for the crate; `None` when it cannot be sent as one frame (count of 0 or beyond the protocol's
/// limits, or words that do not match the count).
pub fn call(request: &Request) -> Option<Call<'_>> {
    let Request { function, address, count, ref words, .. } = *request;
    let most = match function {
        Function::ReadCoils | Function::ReadDiscreteInputs => 2_000,
        Function::ReadHoldingRegisters | Function::ReadInputRegisters => 125,
        Function::WriteSingleCoil | Function::WriteSingleRegister => 1,
        Function::WriteMultipleCoils => 1_968,
        Function::WriteMultipleRegisters => 123,
    };
    let given = if function.writes() { usize::from(count) } else { 0 };
    if !(1..=most).contains(&count) || words.len() != given {
        return None;
    }
    Some(match function {
        Function::ReadCoils => Call::ReadCoils(address, count),
        Function::ReadDiscreteInputs => Call::ReadDiscreteInputs(address, count),
        Function::ReadHoldingRegisters => Call::ReadHoldingRegisters(address, count),
        Function::ReadInputRegisters => Call::ReadInputRegisters(address, count),
        Function::WriteSingleCoil => Call::WriteSingleCoil(address, *words.first()? != 0),
        Function::WriteSingleRegister => Call::WriteSingleRegister(address, *words.first()?),
        Function::WriteMultipleCoils => {
            Call::WriteMultipleCoils(address, words.iter().map(|word| *word != 0).collect())
        }
        Function::WriteMultipleRegisters => Call::WriteMultipleRegisters(address, Cow::Borrowed(words)),
    })
}

/// What the crate decoded; `None` when it is not what was asked for.
pub fn answer(request: &Request, response: Response) -> Option<Answer> {
    let count = usize::from(request.count);
    match response {
        Response::ReadHoldingRegisters(words) | Response::ReadInputRegisters(words) => {
            (words.len() == count).then_some(words)
        }
        // Bits come in whole bytes; those after the last one asked for mean nothing.
        Response::ReadCoils(bits) | Response::ReadDiscreteInputs(bits) => {
            (bits.len() >= count).then(|| bits.into_iter().take(count).map(u16::from).collect())
        }
        Response::WriteSingleCoil(..)
        | Response::WriteSingleRegister(..)
        | Response::WriteMultipleCoils(..)
        | Response::WriteMultipleRegisters(..) => Some(Answer::new()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(function: Function, count: u16, words: Vec<u16>) -> Request {
        Request { unit: 1, function, address: 0, count, words }
    }

    #[test]
    fn p10_requests_that_fit_no_frame_are_never_sent() {
        for (function, count, words) in [
            (Function::ReadHoldingRegisters, 0, vec![]),
            (Function::ReadHoldingRegisters, 126, vec![]),
            (Function::ReadCoils, 2_001, vec![]),
            (Function::ReadCoils, 1, vec![1]),
            (Function::WriteSingleRegister, 2, vec![1, 2]),
            (Function::WriteMultipleRegisters, 3, vec![1, 2]),
            (Function::WriteMultipleRegisters, 124, vec![0; 124]),
        ] {
            assert_eq!(call(&request(function, count, words)), None, "{function:?} {count}");
        }
    }

    #[test]
    fn padding_bits_of_the_last_byte_are_dropped() {
        let asked = request(Function::ReadCoils, 3, vec![]);
        let heard = Response::ReadCoils(vec![true, false, true, true, true, true, true, true]);
        assert_eq!(answer(&asked, heard), Some(vec![1, 0, 1]));
    }
}
