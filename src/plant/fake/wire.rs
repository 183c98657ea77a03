//! The serving side of the Modbus protocol data unit, pure: bytes to request, answer to bytes.

use crate::device::exchange::{Function, Request};

/// Exception 1: the function is not served here.
pub const NO_FUNCTION: u8 = 1;
/// Exception 2: an address is not there, or not writable.
pub const NO_ADDRESS: u8 = 2;
/// Exception 3: a count or a value that cannot be.
pub const NO_VALUE: u8 = 3;

/// What the bytes ask for, or the exception that they deserve.
pub fn parse(unit: u8, pdu: &[u8]) -> Result<Request, u8> {
    let (code, rest) = pdu.split_first().ok_or(NO_FUNCTION)?;
    let function = Function::ALL.into_iter().find(|function| function.code() == *code).ok_or(NO_FUNCTION)?;
    let (head, tail) = rest.split_at_checked(4).ok_or(NO_VALUE)?;
    let [address, second] = <[u16; 2]>::try_from(words(head)).map_err(|_| NO_VALUE)?;
    let request = |count, words| Ok(Request { unit, function, address, count, words });
    match function {
        Function::ReadCoils | Function::ReadDiscreteInputs => {
            if tail.is_empty() && (1..=2_000).contains(&second) {
                request(second, Vec::new())
            } else {
                Err(NO_VALUE)
            }
        }
        Function::ReadHoldingRegisters | Function::ReadInputRegisters => {
            if tail.is_empty() && (1..=125).contains(&second) {
                request(second, Vec::new())
            } else {
                Err(NO_VALUE)
            }
        }
        Function::WriteSingleCoil => match (second, tail) {
            (0, []) => request(1, vec![0]),
            (0xFF00, []) => request(1, vec![1]),
            _ => Err(NO_VALUE),
        },
        Function::WriteSingleRegister if tail.is_empty() => request(1, vec![second]),
        Function::WriteSingleRegister => Err(NO_VALUE),
        Function::WriteMultipleCoils => {
            let (length, bits) = tail.split_first().ok_or(NO_VALUE)?;
            let wanted = usize::from(second).div_ceil(8);
            if !(1..=1_968).contains(&second) || usize::from(*length) != wanted || bits.len() != wanted {
                return Err(NO_VALUE);
            }
            let bit = |at: usize| bits.get(at / 8).map_or(0, |byte| u16::from(byte >> (at % 8) & 1));
            request(second, (0..usize::from(second)).map(bit).collect())
        }
        Function::WriteMultipleRegisters => {
            let (length, data) = tail.split_first().ok_or(NO_VALUE)?;
            let wanted = usize::from(second) * 2;
            if !(1..=123).contains(&second) || usize::from(*length) != wanted || data.len() != wanted {
                return Err(NO_VALUE);
            }
            request(second, words(data))
        }
    }
}

fn words(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|pair| u16::from(pair[0]) << 8 | u16::from(pair[1])).collect()
}

/// The bytes that answer a request.
pub fn answer(request: &Request, result: &Result<Vec<u16>, u8>) -> Vec<u8> {
    let code = request.function.code();
    let values = match result {
        Ok(values) => values,
        Err(exception) => return refusal(code, *exception),
    };
    match request.function {
        Function::ReadCoils | Function::ReadDiscreteInputs => {
            let mut bytes = vec![0_u8; values.len().div_ceil(8)];
            for (at, bit) in values.iter().enumerate().filter(|(_, bit)| **bit != 0) {
                bytes[at / 8] |= u8::from(*bit != 0) << (at % 8);
            }
            with_length(code, bytes)
        }
        Function::ReadHoldingRegisters | Function::ReadInputRegisters => {
            with_length(code, values.iter().flat_map(|word| word.to_be_bytes()).collect())
        }
        Function::WriteSingleCoil => {
            let on = request.words.first().is_some_and(|bit| *bit != 0);
            echo(code, request.address, if on { 0xFF00 } else { 0 })
        }
        Function::WriteSingleRegister => {
            echo(code, request.address, request.words.first().copied().unwrap_or(0))
        }
        Function::WriteMultipleCoils | Function::WriteMultipleRegisters => {
            echo(code, request.address, request.count)
        }
    }
}

/// An exception's bytes.
pub fn refusal(code: u8, exception: u8) -> Vec<u8> {
    vec![code | 0x80, exception]
}

fn with_length(code: u8, data: Vec<u8>) -> Vec<u8> {
    let mut bytes = vec![code, u8::try_from(data.len()).unwrap_or(u8::MAX)];
    bytes.extend(data);
    bytes
}

fn echo(code: u8, address: u16, value: u16) -> Vec<u8> {
    let ([a, b], [c, d]) = (address.to_be_bytes(), value.to_be_bytes());
    vec![code, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counts_and_lengths_that_cannot_be_are_refused() {
        for (pdu, exception) in [
            (vec![], 1),
            (vec![7], 1),
            (vec![3, 0, 0], 3),
            (vec![3, 0, 0, 0, 0], 3),
            (vec![3, 0, 0, 0, 126], 3),
            (vec![3, 0, 0, 0, 1, 0], 3),
            (vec![5, 0, 0, 0, 1], 3),
            (vec![16, 0, 0, 0, 2, 2, 0, 1], 3),
            (vec![16, 0, 0, 0, 1, 2, 0], 3),
        ] {
            assert_eq!(parse(1, &pdu), Err(exception), "{pdu:?}");
        }
        let request = parse(9, &[16, 0, 10, 0, 2, 4, 0, 1, 0xFF, 0xFE]).unwrap();
        assert_eq!((request.unit, request.address, request.words), (9, 10, vec![1, 0xFFFE]));
        let request = parse(9, &[15, 0, 1, 0, 10, 2, 0b101, 0b10]).unwrap();
        assert_eq!(request.words, [1, 0, 1, 0, 0, 0, 0, 0, 0, 1]);
    }

    proptest! {
        #[test]
        fn no_bytes_of_a_client_make_it_panic(pdu in prop::collection::vec(any::<u8>(), 0..260)) {
            if let Ok(request) = parse(1, &pdu) {
                let values = vec![1; usize::from(request.count)];
                prop_assert!(!answer(&request, &Ok(values)).is_empty());
            }
        }
    }
}
