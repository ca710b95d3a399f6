//! What a query answered: the columns, and all values as they came, in one buffer.

use crate::failure::{Code, Failure};
use scylla::cluster::metadata::{CollectionType, ColumnType, NativeType};
use scylla::deserialize::row::ColumnIterator;
use scylla::response::query_result::QueryRowsResult;
use std::ffi::CString;

/// The most bytes of values that one query may answer.
pub const ANSWER_BYTES_MAX: usize = 256 << 20;

pub struct Column {
    pub name: CString,
    pub kind: CString,
}

#[derive(Default)]
pub struct Rows {
    pub columns: Vec<Column>,
    bytes: Vec<u8>,
    /// Where each value ends in `bytes`; NULL_BIT set for a null.
    ends: Vec<u64>,
}

const NULL_BIT: u64 = 1 << 63;

impl Rows {
    /// Adds the rows of one page.
    pub fn add(&mut self, page: &QueryRowsResult) -> Result<(), Failure> {
        if self.columns.is_empty() {
            self.columns = page
                .column_specs()
                .iter()
                .map(|spec| Column {
                    name: c_string(spec.name().to_owned()),
                    kind: c_string(type_text(spec.typ())),
                })
                .collect();
        }
        if self.bytes.len() + page.rows_bytes_size() > ANSWER_BYTES_MAX {
            return Err(too_large());
        }
        let broken =
            |e: String| Failure::new(Code::Passing, format!("the answer cannot be read: {e}"));
        for row in page
            .rows::<ColumnIterator>()
            .map_err(|e| broken(e.to_string()))?
        {
            for value in row.map_err(|e| broken(e.to_string()))? {
                let value = value.map_err(|e| broken(e.to_string()))?;
                match value.slice {
                    Some(slice) => {
                        self.bytes.extend_from_slice(slice.as_slice());
                        self.ends.push(self.bytes.len() as u64);
                    }
                    None => self.ends.push(self.bytes.len() as u64 | NULL_BIT),
                }
            }
        }
        Ok(())
    }

    /// Adds the rows of another answer to the same statement.
    pub fn append(&mut self, other: Rows) -> Result<(), Failure> {
        if self.bytes.len() + other.bytes.len() > ANSWER_BYTES_MAX {
            return Err(too_large());
        }
        if self.columns.is_empty() {
            self.columns = other.columns;
        }
        let base = self.bytes.len() as u64;
        self.bytes.extend_from_slice(&other.bytes);
        self.ends.extend(other.ends.iter().map(|end| end + base));
        Ok(())
    }

    pub fn count(&self) -> usize {
        self.ends.len().checked_div(self.columns.len()).unwrap_or(0)
    }

    pub fn value(&self, row: usize, column: usize) -> Option<&[u8]> {
        assert!(column < self.columns.len());
        let cell = row * self.columns.len() + column;
        let end = self.ends[cell];
        if end & NULL_BIT != 0 {
            return None;
        }
        let start = if cell == 0 {
            0
        } else {
            self.ends[cell - 1] & !NULL_BIT
        };
        Some(&self.bytes[start as usize..end as usize])
    }
}

fn too_large() -> Failure {
    Failure::new(
        Code::Refused,
        format!(
            "the answer is larger than {} MiB: ask for less",
            ANSWER_BYTES_MAX >> 20
        ),
    )
}

fn c_string(text: String) -> CString {
    CString::new(text).unwrap_or_default()
}

/// A type as CQL writes it. What the server sends with an answer does not say `frozen` of a column: ask
/// system_schema.columns for that.
fn type_text(kind: &ColumnType) -> String {
    match kind {
        ColumnType::Native(native) => native_text(native).to_owned(),
        ColumnType::Collection { frozen, typ } => {
            let text = match typ {
                CollectionType::List(of) => format!("list<{}>", type_text(of)),
                CollectionType::Set(of) => format!("set<{}>", type_text(of)),
                CollectionType::Map(key, of) => {
                    format!("map<{}, {}>", type_text(key), type_text(of))
                }
                _ => "unknown".to_owned(),
            };
            if *frozen {
                format!("frozen<{text}>")
            } else {
                text
            }
        }
        ColumnType::Vector { typ, dimensions } => {
            format!("vector<{}, {dimensions}>", type_text(typ))
        }
        ColumnType::UserDefinedType { definition, .. } => definition.name.to_string(),
        ColumnType::Tuple(of) => {
            format!(
                "tuple<{}>",
                of.iter().map(type_text).collect::<Vec<_>>().join(", ")
            )
        }
        _ => "unknown".to_owned(),
    }
}

fn native_text(native: &NativeType) -> &'static str {
    match native {
        NativeType::Ascii => "ascii",
        NativeType::Boolean => "boolean",
        NativeType::Blob => "blob",
        NativeType::Counter => "counter",
        NativeType::Date => "date",
        NativeType::Decimal => "decimal",
        NativeType::Double => "double",
        NativeType::Duration => "duration",
        NativeType::Float => "float",
        NativeType::Int => "int",
        NativeType::BigInt => "bigint",
        NativeType::Text => "text",
        NativeType::Timestamp => "timestamp",
        NativeType::Inet => "inet",
        NativeType::SmallInt => "smallint",
        NativeType::TinyInt => "tinyint",
        NativeType::Time => "time",
        NativeType::Timeuuid => "timeuuid",
        NativeType::Uuid => "uuid",
        NativeType::Varint => "varint",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_as_cql_writes_them() {
        let native = |n| Box::new(ColumnType::Native(n));
        let list = ColumnType::Collection {
            frozen: true,
            typ: CollectionType::List(native(NativeType::Text)),
        };
        assert_eq!(type_text(&list), "frozen<list<text>>");
        let map = ColumnType::Collection {
            frozen: false,
            typ: CollectionType::Map(native(NativeType::Int), Box::new(list)),
        };
        assert_eq!(type_text(&map), "map<int, frozen<list<text>>>");
        let vector = ColumnType::Vector {
            typ: native(NativeType::Float),
            dimensions: 3,
        };
        assert_eq!(type_text(&vector), "vector<float, 3>");
        let tuple = ColumnType::Tuple(vec![
            ColumnType::Native(NativeType::BigInt),
            ColumnType::Native(NativeType::Varint),
        ]);
        assert_eq!(type_text(&tuple), "tuple<bigint, varint>");
    }
}
