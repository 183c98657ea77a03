//! The registers of one unit: what is there, what may be written, and nothing in between.

use std::collections::BTreeMap;

use crate::device::definition::Area;
use crate::device::exchange::{Function, Request};

use super::wire::{NO_ADDRESS, NO_FUNCTION};

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    word: u16,
    writable: bool,
}

/// The registers of one unit.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    cells: BTreeMap<(Area, u16), Cell>,
    /// Functions that are served.
    functions: Vec<Function>,
}

impl Memory {
    /// Serves a function.
    pub fn serve(&mut self, function: Function) {
        if !self.functions.contains(&function) {
            self.functions.push(function);
        }
    }

    /// Makes registers exist.
    pub fn lay(&mut self, area: Area, address: u16, words: &[u16]) {
        for (at, word) in (address..=u16::MAX).zip(words) {
            self.cells.entry((area, at)).or_default().word = *word;
        }
    }

    /// Whether a register is written by the client: what stands there is its word, not ours.
    pub fn is_open(&self, area: Area, address: u16) -> bool {
        self.cells.get(&(area, address)).is_some_and(|cell| cell.writable)
    }

    /// Makes registers writable, and exist.
    pub fn open(&mut self, area: Area, address: u16, count: u16) {
        for at in (address..=u16::MAX).take(usize::from(count)) {
            self.cells.entry((area, at)).or_default().writable = true;
        }
    }

    /// The words at a place; `None` where one does not exist.
    pub fn words(&self, area: Area, address: u16, count: u16) -> Option<Vec<u16>> {
        (0..count)
            .map(|offset| {
                let at = address.checked_add(offset)?;
                self.cells.get(&(area, at)).map(|cell| cell.word)
            })
            .collect()
    }

    /// Answers a read, or an exception.
    pub fn read(&self, request: &Request) -> Result<Vec<u16>, u8> {
        self.served(request.function)?;
        self.words(area_of(request.function), request.address, request.count).ok_or(NO_ADDRESS)
    }

    /// Whether a write may be done as a whole.
    pub fn may_write(&self, request: &Request) -> Result<(), u8> {
        self.served(request.function)?;
        for offset in 0..request.count {
            let at = request.address.checked_add(offset).ok_or(NO_ADDRESS)?;
            let cell = self.cells.get(&(area_of(request.function), at)).ok_or(NO_ADDRESS)?;
            if !cell.writable {
                return Err(NO_ADDRESS);
            }
        }
        Ok(())
    }

    /// Does a write that was found legal.
    pub fn write(&mut self, request: &Request) {
        self.lay(area_of(request.function), request.address, &request.words);
    }

    fn served(&self, function: Function) -> Result<(), u8> {
        if self.functions.contains(&function) { Ok(()) } else { Err(NO_FUNCTION) }
    }
}

/// The address space that a function works on.
pub fn area_of(function: Function) -> Area {
    match function {
        Function::ReadCoils | Function::WriteSingleCoil | Function::WriteMultipleCoils => Area::Coil,
        Function::ReadDiscreteInputs => Area::Discrete,
        Function::ReadHoldingRegisters | Function::WriteSingleRegister | Function::WriteMultipleRegisters => {
            Area::Holding
        }
        Function::ReadInputRegisters => Area::Input,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(function: Function, address: u16, words: &[u16]) -> Request {
        let count = u16::try_from(words.len()).unwrap();
        Request { unit: 1, function, address, count, words: words.to_vec() }
    }

    #[test]
    fn a_hole_refuses_the_whole_block_and_what_is_read_only_stays_as_it_is() {
        let mut memory = Memory::default();
        for function in [Function::ReadHoldingRegisters, Function::WriteMultipleRegisters] {
            memory.serve(function);
        }
        memory.lay(Area::Holding, 10, &[1, 2]);
        memory.lay(Area::Holding, 13, &[4]);
        memory.open(Area::Holding, 13, 1);
        let read = |address, count| {
            let request = Request { count, ..ask(Function::ReadHoldingRegisters, address, &[]) };
            memory.read(&request)
        };
        assert_eq!(read(10, 2), Ok(vec![1, 2]));
        assert_eq!(read(10, 4), Err(2));
        assert_eq!(read(u16::MAX, 2), Err(2));
        assert_eq!(memory.read(&Request { count: 1, ..ask(Function::ReadInputRegisters, 10, &[]) }), Err(1));
        assert_eq!(memory.may_write(&ask(Function::WriteMultipleRegisters, 10, &[9])), Err(2));
        assert_eq!(memory.may_write(&ask(Function::WriteMultipleRegisters, 13, &[9])), Ok(()));
        assert_eq!(memory.may_write(&ask(Function::WriteMultipleRegisters, 13, &[9, 9])), Err(2));
        assert_eq!(memory.may_write(&ask(Function::WriteSingleRegister, 13, &[9])), Err(1));
    }
}
