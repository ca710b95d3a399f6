//! The rows of one submission, copied once into one buffer in the form that the protocol has them:
//! for each value its length as a big-endian int32 (-1 null, -2 not set) and then its bytes.

use crate::CqlValue;
use scylla::errors::SerializationError;
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;

pub struct Group {
    bytes: Vec<u8>,
    /// Where each row begins, and where the last one ends.
    starts: Vec<usize>,
}

impl Group {
    /// None when there is no memory.
    ///
    /// # Safety
    /// `values` are `n_values * n_rows`, each with its `length` bytes.
    pub unsafe fn copy(values: *const CqlValue, n_values: usize, n_rows: usize) -> Option<Group> {
        let n = n_values.checked_mul(n_rows)?;
        let values = if n == 0 {
            &[]
        } else {
            std::slice::from_raw_parts(values, n)
        };
        let size: usize = values.iter().map(|v| 4 + v.length.max(0) as usize).sum();
        let (mut bytes, mut starts) = (Vec::new(), Vec::new());
        bytes.try_reserve_exact(size).ok()?;
        starts.try_reserve_exact(n_rows + 1).ok()?;
        for row in 0..n_rows {
            starts.push(bytes.len());
            for value in &values[row * n_values..(row + 1) * n_values] {
                bytes.extend_from_slice(&value.length.to_be_bytes());
                if value.length > 0 {
                    bytes.extend_from_slice(std::slice::from_raw_parts(
                        value.bytes,
                        value.length as usize,
                    ));
                }
            }
        }
        starts.push(bytes.len());
        Some(Group { bytes, starts })
    }

    pub fn n_rows(&self) -> usize {
        self.starts.len() - 1
    }

    pub fn row(&self, row: usize) -> Row<'_> {
        Row(&self.bytes[self.starts[row]..self.starts[row + 1]])
    }
}

/// One row of a group, as the driver wants it.
#[derive(Clone, Copy)]
pub struct Row<'a>(&'a [u8]);

impl SerializeRow for Row<'_> {
    fn serialize(
        &self,
        _context: &RowSerializationContext<'_>,
        writer: &mut RowWriter,
    ) -> Result<(), SerializationError> {
        let mut rest = self.0;
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let cell = writer.make_cell_writer();
            rest = after;
            match i32::from_be_bytes(*length) {
                -1 => {
                    cell.set_null();
                }
                length if length < 0 => {
                    cell.set_unset();
                }
                length => {
                    let (value, after) = rest.split_at(length as usize);
                    cell.set_value(value).map_err(SerializationError::new)?;
                    rest = after;
                }
            }
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_written_as_the_protocol_has_it() {
        let value = |bytes: &'static [u8]| CqlValue {
            bytes: bytes.as_ptr(),
            length: bytes.len() as i32,
        };
        let null = CqlValue {
            bytes: std::ptr::null(),
            length: -1,
        };
        let unset = CqlValue {
            bytes: std::ptr::null(),
            length: -2,
        };
        let values = [
            value(b"abc"),
            null,
            unset,
            value(b""),
            value(b"x"),
            value(b"yz"),
        ];
        let group = unsafe { Group::copy(values.as_ptr(), 3, 2) }.unwrap();
        assert_eq!(group.n_rows(), 2);

        let mut wire = Vec::new();
        let mut writer = RowWriter::new(&mut wire);
        group
            .row(0)
            .serialize(&RowSerializationContext::empty(), &mut writer)
            .unwrap();
        assert_eq!(writer.value_count(), 3);
        assert_eq!(wire, b"\0\0\0\x03abc\xff\xff\xff\xff\xff\xff\xff\xfe");

        wire.clear();
        let mut writer = RowWriter::new(&mut wire);
        group
            .row(1)
            .serialize(&RowSerializationContext::empty(), &mut writer)
            .unwrap();
        assert_eq!(wire, b"\0\0\0\0\0\0\0\x01x\0\0\0\x02yz");
    }

    #[test]
    fn no_rows_and_no_values() {
        assert_eq!(
            unsafe { Group::copy(std::ptr::null(), 3, 0) }
                .unwrap()
                .n_rows(),
            0
        );
        let group = unsafe { Group::copy(std::ptr::null(), 0, 1) }.unwrap();
        assert!(group.row(0).is_empty());
    }
}
