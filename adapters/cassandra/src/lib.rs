//! The client of Cassandra behind Freshet's `src/writers/cassandra/cql.h`, which is the contract of everything
//! here and says what each function does: one table of C functions over the crate `scylla`.
//!
//! This file is the border: raw pointers come in and go out here and nowhere else. Behind it:
//! `session` (connecting, sending), `group` (the rows of one submission in one buffer), `queue`
//! (completions, taken by the C thread), `rows` (what a query answered), `tls`, and `failure`
//! (which of the driver's errors is which `cql_code`).
//!
//! Nothing is called back: the driver's threads put completions into the queue and never run
//! foreign code. A panic aborts the process (Cargo.toml); none is expected.

mod failure;
mod group;
mod queue;
mod rows;
mod session;
mod tls;

use failure::{Code, Failure};
use group::Group;
use rows::Rows;
use session::{Options, Session, Statement};
use std::ffi::{c_char, c_int, CStr};
use std::sync::Arc;

const API_VERSION: u32 = 1;
/// CQL_TEXT_MAX: the bytes of a text, its final NUL included.
const TEXT_MAX: usize = 512;
/// CQL_GROUP: the row of the completion that ends a group.
const GROUP: u32 = u32::MAX;

#[repr(C)]
pub struct CqlOptions {
    hosts: *const c_char,
    local_dc: *const c_char,
    user: *const c_char,
    password: *const c_char,
    tls: bool,
    verify: bool,
    ca_file: *const c_char,
    cert_file: *const c_char,
    key_file: *const c_char,
    connect_timeout_ms: i32,
    request_timeout_ms: i32,
    threads: i32,
    compress: bool,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct CqlValue {
    bytes: *const u8,
    length: i32,
}

#[repr(C)]
pub struct CqlCompletion {
    tag: u64,
    row: u32,
    code: Code,
    text: [c_char; TEXT_MAX],
}

#[repr(C)]
pub struct CqlColumn {
    name: *const c_char,
    kind: *const c_char,
}

/// `cql_api`, function for function.
#[repr(C)]
pub struct CqlApi {
    version: u32,
    size: usize,
    name: *const c_char,
    connect: unsafe extern "C" fn(*const CqlOptions, *mut *mut Session, *mut c_char) -> Code,
    close: unsafe extern "C" fn(*mut Session),
    prepare: unsafe extern "C" fn(
        *mut Session,
        *const c_char,
        u32,
        *mut *mut Arc<Statement>,
        *mut c_char,
    ) -> Code,
    release: unsafe extern "C" fn(*mut Arc<Statement>),
    submit: unsafe extern "C" fn(
        *mut Session,
        *const Arc<Statement>,
        *const CqlValue,
        u32,
        u32,
        bool,
        u64,
    ) -> Code,
    completions: unsafe extern "C" fn(*mut Session, *mut CqlCompletion, u32) -> u32,
    fd: unsafe extern "C" fn(*const Session) -> c_int,
    query: unsafe extern "C" fn(
        *mut Session,
        *const c_char,
        *const Arc<Statement>,
        *const CqlValue,
        u32,
        *mut *mut Rows,
        *mut c_char,
    ) -> Code,
    rows_count: unsafe extern "C" fn(*const Rows) -> u32,
    rows_columns: unsafe extern "C" fn(*const Rows) -> u32,
    rows_column: unsafe extern "C" fn(*const Rows, u32) -> CqlColumn,
    rows_value: unsafe extern "C" fn(*const Rows, u32, u32) -> CqlValue,
    rows_free: unsafe extern "C" fn(*mut Rows),
    await_schema: unsafe extern "C" fn(*mut Session, *mut c_char) -> Code,
    nodes: unsafe extern "C" fn(*const Session, *mut u32, *mut u32),
    query_many: unsafe extern "C" fn(
        *mut Session,
        *const Arc<Statement>,
        *const CqlValue,
        u32,
        u32,
        *mut u32,
        *mut *mut Rows,
        *mut c_char,
    ) -> Code,
}

// The only pointer in it is to a literal.
unsafe impl Sync for CqlApi {}

// The sizes that cql.h gives on every 64-bit machine.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<CqlOptions>() == 80);
    assert!(size_of::<CqlValue>() == 16);
    assert!(size_of::<CqlCompletion>() == 16 + TEXT_MAX);
    assert!(size_of::<CqlApi>() == 19 * 8);
};

static API: CqlApi = CqlApi {
    version: API_VERSION,
    size: size_of::<CqlApi>(),
    name: c"freshet_cassandra 0.1.0 (scylla 1.9.0)".as_ptr(),
    connect: cql_connect,
    close: cql_close,
    prepare: cql_prepare,
    release: cql_release,
    submit: cql_submit,
    completions: cql_completions,
    fd: cql_fd,
    query: cql_query,
    rows_count: cql_rows_count,
    rows_columns: cql_rows_columns,
    rows_column: cql_rows_column,
    rows_value: cql_rows_value,
    rows_free: cql_rows_free,
    await_schema: cql_await_schema,
    nodes: cql_nodes,
    query_many: cql_query_many,
};

#[no_mangle]
pub extern "C" fn freshet_cql_api() -> *const CqlApi {
    &API
}

// --- C strings --------------------------------------------------------------------------------------

/// NULL is None; what is not UTF-8 is a failure that names the thing.
unsafe fn text_in<'a>(what: &str, text: *const c_char) -> Result<Option<&'a str>, Failure> {
    if text.is_null() {
        return Ok(None);
    }
    match CStr::from_ptr(text).to_str() {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(Failure::new(Code::Refused, format!("{what} is not UTF-8"))),
    }
}

/// Writes a text and its final NUL; it is short enough already (Failure::new).
unsafe fn text_out(into: *mut c_char, text: &str) {
    let bytes = text.as_bytes();
    let n = bytes.len().min(TEXT_MAX - 1);
    std::ptr::copy_nonoverlapping(bytes.as_ptr().cast(), into, n);
    *into.add(n) = 0;
}

unsafe fn give<T>(result: Result<T, Failure>, out: *mut *mut T, text: *mut c_char) -> Code {
    match result {
        Ok(value) => {
            *out = Box::into_raw(Box::new(value));
            Code::Ok
        }
        Err(failure) => {
            text_out(text, &failure.text);
            failure.code
        }
    }
}

unsafe fn free<T>(pointer: *mut T) {
    if !pointer.is_null() {
        drop(Box::from_raw(pointer));
    }
}

// --- The functions of the table ---------------------------------------------------------------------

unsafe extern "C" fn cql_connect(
    options: *const CqlOptions,
    out: *mut *mut Session,
    text: *mut c_char,
) -> Code {
    give(
        options_in(&*options).and_then(|o| Session::connect(&o)),
        out,
        text,
    )
}

unsafe fn options_in<'a>(c: &CqlOptions) -> Result<Options<'a>, Failure> {
    Ok(Options {
        hosts: text_in("the list of hosts", c.hosts)?.unwrap_or(""),
        local_dc: text_in("local_dc", c.local_dc)?,
        user: text_in("the user's name", c.user)?,
        password: text_in("the password", c.password)?.unwrap_or(""),
        tls: c.tls,
        verify: c.verify,
        ca_file: text_in("the name of the CA file", c.ca_file)?,
        cert_file: text_in("the name of the certificate's file", c.cert_file)?,
        key_file: text_in("the name of the key's file", c.key_file)?,
        connect_timeout_ms: c.connect_timeout_ms,
        request_timeout_ms: c.request_timeout_ms,
        threads: c.threads,
        compress: c.compress,
    })
}

unsafe extern "C" fn cql_close(session: *mut Session) {
    if !session.is_null() {
        Box::from_raw(session).close();
    }
}

unsafe extern "C" fn cql_prepare(
    session: *mut Session,
    cql: *const c_char,
    consistency: u32,
    out: *mut *mut Arc<Statement>,
    text: *mut c_char,
) -> Code {
    let statement = text_in("the statement", cql)
        .and_then(|cql| (*session).prepare(cql.unwrap_or(""), consistency))
        .map(Arc::new);
    give(statement, out, text)
}

unsafe extern "C" fn cql_release(statement: *mut Arc<Statement>) {
    free(statement);
}

unsafe extern "C" fn cql_submit(
    session: *mut Session,
    statement: *const Arc<Statement>,
    values: *const CqlValue,
    n_values: u32,
    n_rows: u32,
    as_batch: bool,
    tag: u64,
) -> Code {
    let statement = &*statement;
    if n_values as usize != statement.n_values() {
        return Code::Refused;
    }
    match Group::copy(values, n_values as usize, n_rows as usize) {
        Some(group) => {
            (*session).submit(Arc::clone(statement), group, as_batch, tag);
            Code::Ok
        }
        None => Code::Memory,
    }
}

unsafe extern "C" fn cql_completions(
    session: *mut Session,
    into: *mut CqlCompletion,
    most: u32,
) -> u32 {
    let mut n = 0;
    (*session).queue().take(most as usize, |completion| {
        let to = into.add(n);
        (*to).tag = completion.tag;
        (*to).row = completion.row;
        (*to).code = completion.code;
        text_out((&raw mut (*to).text).cast(), &completion.text);
        n += 1;
    });
    n as u32
}

unsafe extern "C" fn cql_fd(session: *const Session) -> c_int {
    (*session).queue().fd()
}

/// The values of `n_rows` executions of a query.
unsafe fn copy_values(
    values: *const CqlValue,
    n_values: u32,
    n_rows: u32,
) -> Result<Group, Failure> {
    Group::copy(values, n_values as usize, n_rows as usize)
        .ok_or_else(|| Failure::new(Code::Memory, "out of memory for the values of a query"))
}

unsafe extern "C" fn cql_query(
    session: *mut Session,
    cql: *const c_char,
    statement: *const Arc<Statement>,
    values: *const CqlValue,
    n_values: u32,
    out: *mut *mut Rows,
    text: *mut c_char,
) -> Code {
    let rows = if statement.is_null() {
        text_in("the statement", cql).and_then(|cql| (*session).query(cql.unwrap_or("")))
    } else {
        copy_values(values, n_values, 1).and_then(|group| (*session).execute(&*statement, &group))
    };
    give(rows, out, text)
}

unsafe extern "C" fn cql_query_many(
    session: *mut Session,
    statement: *const Arc<Statement>,
    values: *const CqlValue,
    n_values: u32,
    n_rows: u32,
    counts: *mut u32,
    out: *mut *mut Rows,
    text: *mut c_char,
) -> Code {
    let rows = copy_values(values, n_values, n_rows)
        .and_then(|group| (*session).execute_many(&*statement, &group));
    let rows = rows.map(|(rows, each)| {
        std::ptr::copy_nonoverlapping(each.as_ptr(), counts, each.len());
        rows
    });
    give(rows, out, text)
}

unsafe extern "C" fn cql_rows_count(rows: *const Rows) -> u32 {
    (*rows).count() as u32
}

unsafe extern "C" fn cql_rows_columns(rows: *const Rows) -> u32 {
    (*rows).columns.len() as u32
}

unsafe extern "C" fn cql_rows_column(rows: *const Rows, column: u32) -> CqlColumn {
    let column = &(&(*rows).columns)[column as usize];
    CqlColumn {
        name: column.name.as_ptr(),
        kind: column.kind.as_ptr(),
    }
}

unsafe extern "C" fn cql_rows_value(rows: *const Rows, row: u32, column: u32) -> CqlValue {
    match (*rows).value(row as usize, column as usize) {
        Some(bytes) => CqlValue {
            bytes: bytes.as_ptr(),
            length: bytes.len() as i32,
        },
        None => CqlValue {
            bytes: std::ptr::null(),
            length: -1,
        },
    }
}

unsafe extern "C" fn cql_rows_free(rows: *mut Rows) {
    free(rows);
}

unsafe extern "C" fn cql_await_schema(session: *mut Session, text: *mut c_char) -> Code {
    match (*session).await_schema() {
        Ok(()) => Code::Ok,
        Err(failure) => {
            text_out(text, &failure.text);
            failure.code
        }
    }
}

unsafe extern "C" fn cql_nodes(session: *const Session, known: *mut u32, connected: *mut u32) {
    let (k, c) = (*session).nodes();
    *known = k;
    *connected = c;
}
