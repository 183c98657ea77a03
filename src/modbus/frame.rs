//! Modbus frames as bytes: the MBAP header of TCP and the check sum of RTU.

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
