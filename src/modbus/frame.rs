//! Modbus frames as bytes: the MBAP header of TCP and the check sum of RTU.

pub use crate::device::definition::Framing;

/// The seven bytes before every TCP frame's function code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mbap {
    /// Chosen by the client, repeated by the server.
    pub transaction: u16,
    /// Always 0 for Modbus.
    pub protocol: u16,
    /// Bytes that follow the length field: unit id and PDU.
    pub length: u16,
    /// Unit id.
    pub unit: u8,
}

impl Mbap {
    /// Bytes of a header.
    pub const LEN: usize = 7;

    /// From the wire.
    #[must_use]
    pub fn parse(bytes: [u8; 7]) -> Self {
        let [t0, t1, p0, p1, l0, l1, unit] = bytes;
        Self {
            transaction: u16::from_be_bytes([t0, t1]),
            protocol: u16::from_be_bytes([p0, p1]),
            length: u16::from_be_bytes([l0, l1]),
            unit,
        }
    }

    /// To the wire.
    #[must_use]
    pub fn bytes(self) -> [u8; 7] {
        let [t0, t1] = self.transaction.to_be_bytes();
        let [p0, p1] = self.protocol.to_be_bytes();
        let [l0, l1] = self.length.to_be_bytes();
        [t0, t1, p0, p1, l0, l1, self.unit]
    }

    /// Bytes of the PDU that this header announces; `None` when no PDU can be that long (1 to 253).
    #[must_use]
    pub fn pdu_len(self) -> Option<usize> {
        let length = usize::from(self.length).checked_sub(1)?;
        (1..=253).contains(&length).then_some(length)
    }
}

/// A whole TCP frame.
#[must_use]
pub fn tcp(transaction: u16, unit: u8, pdu: &[u8]) -> Vec<u8> {
    let length = u16::try_from(pdu.len().saturating_add(1)).unwrap_or(u16::MAX);
    let header = Mbap { transaction, protocol: 0, length, unit };
    let mut bytes = header.bytes().to_vec();
    bytes.extend_from_slice(pdu);
    bytes
}

/// A whole RTU frame.
#[must_use]
pub fn rtu(unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut bytes = vec![unit];
    bytes.extend_from_slice(pdu);
    let sum = crc(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// The check sum of an RTU frame; it follows the frame with its low byte first.
#[must_use]
pub fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |sum, byte| {
        (0..8).fold(
            sum ^ u16::from(*byte),
            |bits, _| {
                if bits & 1 == 1 { (bits >> 1) ^ 0xA001 } else { bits >> 1 }
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_sum_matches_the_serial_line_specification() {
        assert_eq!(crc(b"123456789"), 0x4B37);
        assert_eq!(rtu(1, &[3, 0, 0, 0, 1]), [1, 3, 0, 0, 0, 1, 0x84, 0x0A]);
    }

    #[test]
    fn header_survives_the_wire() {
        let header = Mbap { transaction: 0x1234, protocol: 0, length: 6, unit: 100 };
        assert_eq!(Mbap::parse(header.bytes()), header);
        assert_eq!(header.pdu_len(), Some(5));
        assert_eq!(tcp(0x1234, 100, &[3, 0, 0, 0, 1])[..7], header.bytes());
    }

    #[test]
    fn impossible_lengths_announce_no_pdu() {
        for length in [0, 1, 255, 0xFFFF] {
            assert_eq!(Mbap { transaction: 0, protocol: 0, length, unit: 1 }.pdu_len(), None);
        }
    }
}
