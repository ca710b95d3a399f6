//! Which of the driver's errors is which `cql_code`, and a text for it of one line.
//!
//! The question behind each line of the tables is what the writer should do: hold the row and send it
//! again (Passing), do that more slowly (Overloaded), put this row aside for good (Refused), or stop
//! until someone has mended credentials, certificates or tables (Denied, Tls, Schema). Where the
//! server does not say, the answer is Passing: a row is never given up on a guess.

use crate::TEXT_MAX;
use scylla::errors::{
    BadQuery, BrokenConnectionError, ConnectionError, ConnectionPoolError,
    ConnectionSetupRequestErrorKind, DbError, ExecutionError, MetadataError,
    MetadataFetchErrorKind, NewSessionError, NextPageError, NextRowError, PrepareError,
    RequestAttemptError, RequestError, SchemaAgreementError, UseKeyspaceError,
};

/// `cql_code`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Ok = 0,
    Passing = 1,
    Overloaded = 2,
    Refused = 3,
    Denied = 4,
    Tls = 5,
    Schema = 6,
    Memory = 7,
}

#[derive(Clone, Debug)]
pub struct Failure {
    pub code: Code,
    /// One line of less than CQL_TEXT_MAX bytes.
    pub text: String,
}

impl Failure {
    pub fn new(code: Code, text: impl AsRef<str>) -> Failure {
        Failure {
            code,
            text: one_line(text.as_ref()),
        }
    }

    fn because(before: &str, cause: Failure) -> Failure {
        Failure::new(cause.code, format!("{before}: {}", cause.text))
    }
}

/// Control characters become blanks, blanks in a row one; cut at a character's boundary.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(TEXT_MAX));
    for word in text
        .split(|c: char| c.is_control() || c == ' ')
        .filter(|word| !word.is_empty())
    {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() >= TEXT_MAX {
            break;
        }
    }
    if line.len() >= TEXT_MAX {
        let end = (0..TEXT_MAX - 3)
            .rev()
            .find(|&at| line.is_char_boundary(at))
            .unwrap_or(0);
        line.truncate(end);
        line.push_str("...");
    }
    line
}

// --- What the server says ---------------------------------------------------------------------------

/// Words of an Invalid error that mean the schema is not what the statement takes it for.
const SCHEMA_WORDS: [&str; 9] = [
    "unconfigured table",
    "table does not exist",
    "doesn't exist",
    "does not exist",
    "non existing",
    "undefined column name",
    "undefined name",
    "unknown identifier",
    "unknown type",
];

fn server(error: &DbError, message: &str) -> Failure {
    let code = match error {
        DbError::Overloaded | DbError::RateLimitReached { .. } => Code::Overloaded,
        DbError::Unavailable { .. }
        | DbError::IsBootstrapping
        | DbError::TruncateError
        | DbError::ReadTimeout { .. }
        | DbError::WriteTimeout { .. }
        | DbError::ReadFailure { .. }
        | DbError::WriteFailure { .. }
        | DbError::Unprepared { .. } => Code::Passing,
        // Where the nodes that know the users are away: nobody was turned down.
        DbError::AuthenticationError | DbError::Unauthorized
            if message.to_lowercase().contains("unable to perform auth") =>
        {
            Code::Passing
        }
        DbError::AuthenticationError | DbError::Unauthorized => Code::Denied,
        DbError::Invalid | DbError::ConfigError => {
            let message = message.to_lowercase();
            if SCHEMA_WORDS.iter().any(|words| message.contains(words)) {
                Code::Schema
            } else {
                Code::Refused
            }
        }
        DbError::SyntaxError
        | DbError::AlreadyExists { .. }
        | DbError::FunctionFailure { .. }
        | DbError::ProtocolError => Code::Refused,
        // A fault of the server's, or a code of a server we do not know.
        _ => Code::Passing,
    };
    if message.trim().is_empty() {
        Failure::new(code, error.to_string())
    } else {
        Failure::new(code, message)
    }
}

// --- One request ------------------------------------------------------------------------------------

fn attempt(error: &RequestAttemptError) -> Failure {
    match error {
        RequestAttemptError::DbError(error, message) => server(error, message),
        RequestAttemptError::SerializationError(_)
        | RequestAttemptError::CqlRequestSerialization(_) => {
            Failure::new(Code::Refused, error.to_string())
        }
        RequestAttemptError::UnableToAllocStreamId => Failure::new(
            Code::Overloaded,
            "too many requests wait for this node's answers",
        ),
        RequestAttemptError::BrokenConnectionError(error) => broken(error),
        // Another table by the same name has come: what was prepared is of no use any more.
        RequestAttemptError::RepreparedIdChanged { .. } => Failure::new(
            Code::Schema,
            "the table has changed since the statement was prepared: prepare it again",
        ),
        _ => Failure::new(Code::Passing, error.to_string()),
    }
}

fn bad_query(error: &BadQuery) -> Failure {
    match error {
        BadQuery::SerializationError(error) => Failure::new(Code::Refused, error.to_string()),
        BadQuery::ValuesTooLongForKey(is, most) => Failure::new(
            Code::Refused,
            format!("the key has {is} bytes and Cassandra allows {most}"),
        ),
        _ => Failure::new(Code::Refused, error.to_string()),
    }
}

fn timed_out(after: &std::time::Duration) -> Failure {
    Failure::new(
        Code::Passing,
        format!("no answer within {} ms", after.as_millis()),
    )
}

pub fn execution(error: &ExecutionError) -> Failure {
    match error {
        ExecutionError::BadQuery(error) => bad_query(error),
        ExecutionError::EmptyPlan => {
            Failure::new(Code::Passing, "no node of the data centre is known")
        }
        ExecutionError::PrepareError(error) => prepare(error),
        ExecutionError::ConnectionPoolError(error) => pool(error),
        ExecutionError::LastAttemptError(error) => attempt(error),
        ExecutionError::RequestTimeout(after) => timed_out(after),
        ExecutionError::UseKeyspaceError(error) => use_keyspace(error),
        ExecutionError::SchemaAgreementError(error) => schema_agreement(error),
        ExecutionError::MetadataError(error) => metadata(error),
        _ => Failure::new(Code::Passing, error.to_string()),
    }
}

pub fn prepare(error: &PrepareError) -> Failure {
    match error {
        PrepareError::ConnectionPoolError(error) => pool(error),
        PrepareError::AllAttemptsFailed { first_attempt } => attempt(first_attempt),
        _ => Failure::new(Code::Passing, error.to_string()),
    }
}

fn use_keyspace(error: &UseKeyspaceError) -> Failure {
    match error {
        UseKeyspaceError::RequestError(error) => attempt(error),
        UseKeyspaceError::RequestTimeout(after) => timed_out(after),
        _ => Failure::new(Code::Schema, error.to_string()),
    }
}

pub fn schema_agreement(error: &SchemaAgreementError) -> Failure {
    match error {
        SchemaAgreementError::ConnectionPoolError(error) => pool(error),
        SchemaAgreementError::PrepareError(error) => prepare(error),
        SchemaAgreementError::RequestError(error) => attempt(error),
        SchemaAgreementError::Timeout(after) => Failure::new(
            Code::Passing,
            format!(
                "the nodes do not agree on the schema after {} ms",
                after.as_millis()
            ),
        ),
        _ => Failure::new(Code::Passing, error.to_string()),
    }
}

// --- Connecting -------------------------------------------------------------------------------------

pub fn new_session(error: &NewSessionError) -> Failure {
    match error {
        NewSessionError::FailedToResolveAnyHostname(names) => Failure::new(
            Code::Passing,
            format!("no host name of {} can be resolved", names.join(", ")),
        ),
        NewSessionError::EmptyKnownNodesList => Failure::new(Code::Refused, "no host is given"),
        NewSessionError::MetadataError(error) => metadata(error),
        NewSessionError::UseKeyspaceError(error) => use_keyspace(error),
        _ => Failure::new(Code::Refused, error.to_string()),
    }
}

pub fn metadata(error: &MetadataError) -> Failure {
    let fetch = match error {
        MetadataError::ConnectionPoolError(error) => return pool(error),
        MetadataError::FetchError(error) => error,
        _ => return Failure::new(Code::Passing, error.to_string()),
    };
    let before = format!("reading {}", fetch.table);
    match &fetch.error {
        MetadataFetchErrorKind::PrepareError(error) => Failure::because(&before, attempt(error)),
        MetadataFetchErrorKind::NextRowError(NextRowError::NextPageError(
            NextPageError::RequestFailure(error),
        )) => Failure::because(&before, request(error)),
        _ => Failure::new(Code::Passing, fetch.to_string()),
    }
}

fn request(error: &RequestError) -> Failure {
    match error {
        RequestError::ConnectionPoolError(error) => pool(error),
        RequestError::RequestTimeout(after) => timed_out(after),
        RequestError::LastAttemptError(error) => attempt(error),
        _ => Failure::new(Code::Passing, error.to_string()),
    }
}

fn pool(error: &ConnectionPoolError) -> Failure {
    match error {
        ConnectionPoolError::Broken {
            last_connection_error,
        } => Failure::because("no connection to a node", connection(last_connection_error)),
        ConnectionPoolError::Initializing => {
            Failure::new(Code::Passing, "no connection to a node yet")
        }
        _ => Failure::new(Code::Passing, error.to_string()),
    }
}

fn connection(error: &ConnectionError) -> Failure {
    match error {
        ConnectionError::IoError(error) => by_text(&error.to_string()),
        ConnectionError::BrokenConnection(error) => broken(error),
        ConnectionError::UseKeyspaceError(error) => use_keyspace(error),
        ConnectionError::ConnectionSetupRequestError(setup) => setup_request(&setup.error),
        _ => Failure::new(Code::Passing, error.to_string()),
    }
}

fn setup_request(error: &ConnectionSetupRequestErrorKind) -> Failure {
    match error {
        // A server that starts up may say ProtocolError or ServerError; only credentials are for good.
        ConnectionSetupRequestErrorKind::DbError(error, message) => match server(error, message) {
            Failure {
                code: Code::Denied,
                text,
            } => Failure::new(Code::Denied, text),
            Failure { text, .. } => Failure::new(Code::Passing, text),
        },
        ConnectionSetupRequestErrorKind::BrokenConnection(error) => broken(error),
        ConnectionSetupRequestErrorKind::MissingAuthentication => Failure::new(
            Code::Denied,
            "the server asks for a user name and a password",
        ),
        ConnectionSetupRequestErrorKind::StartAuthSessionError(_)
        | ConnectionSetupRequestErrorKind::AuthChallengeEvaluationError(_)
        | ConnectionSetupRequestErrorKind::AuthFinishError(_) => {
            Failure::new(Code::Denied, error.to_string())
        }
        _ => Failure::new(Code::Passing, error.to_string()),
    }
}

fn broken(error: &BrokenConnectionError) -> Failure {
    by_text(&lost(&error.to_string()))
}

/// Of "Connection broken, reason: Failed to ...: Failed to ...: Connection reset by peer" the end says it all.
fn lost(text: &str) -> String {
    let reason = text
        .strip_prefix("Connection broken, reason: ")
        .unwrap_or(text);
    let reason = reason
        .rsplit("Failed to read the frame header: ")
        .next()
        .unwrap_or(reason);
    format!("the connection to the node was lost: {reason}")
}

/// Errors of sockets and of OpenSSL arrive boxed in one another; OpenSSL's have their place in the text.
/// That the other side has hung up is not one of certificates.
fn by_text(text: &str) -> Failure {
    let tls = text.contains("SSL routines") && !text.contains("unexpected eof");
    Failure::new(if tls { Code::Tls } else { Code::Passing }, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use scylla::errors::{OperationType, WriteType};
    use scylla::statement::Consistency;
    use std::sync::Arc;
    use std::time::Duration;

    fn of_server(error: DbError, message: &str) -> Code {
        execution(&RequestAttemptError::DbError(error, message.to_owned()).into()).code
    }

    #[test]
    fn what_passes() {
        let consistency = Consistency::LocalQuorum;
        let errors = [
            DbError::Unavailable {
                consistency,
                required: 2,
                alive: 1,
            },
            DbError::IsBootstrapping,
            DbError::TruncateError,
            DbError::ReadTimeout {
                consistency,
                received: 0,
                required: 1,
                data_present: false,
            },
            DbError::WriteTimeout {
                consistency,
                received: 0,
                required: 1,
                write_type: WriteType::Simple,
            },
            DbError::ReadFailure {
                consistency,
                received: 0,
                required: 1,
                numfailures: 1,
                data_present: false,
            },
            DbError::WriteFailure {
                consistency,
                received: 0,
                required: 1,
                numfailures: 1,
                write_type: WriteType::UnloggedBatch,
            },
            DbError::ServerError,
            DbError::Other(0x7000),
        ];
        for error in errors {
            assert_eq!(
                of_server(error.clone(), "some message"),
                Code::Passing,
                "{error:?}"
            );
        }
        let errors = [
            ExecutionError::RequestTimeout(Duration::from_millis(250)),
            ExecutionError::EmptyPlan,
            ConnectionPoolError::Initializing.into(),
            ConnectionPoolError::Broken {
                last_connection_error: ConnectionError::ConnectTimeout,
            }
            .into(),
            RequestAttemptError::RepreparedIdMissingInBatch.into(),
        ];
        for error in errors {
            assert_eq!(execution(&error).code, Code::Passing, "{error:?}");
        }
        let text = execution(&ExecutionError::RequestTimeout(Duration::from_millis(250))).text;
        assert_eq!(text, "no answer within 250 ms");
    }

    #[test]
    fn what_asks_for_slowness() {
        assert_eq!(of_server(DbError::Overloaded, "too much"), Code::Overloaded);
        let limit = DbError::RateLimitReached {
            op_type: OperationType::Write,
            rejected_by_coordinator: true,
        };
        assert_eq!(of_server(limit, ""), Code::Overloaded);
        let busy = RequestAttemptError::UnableToAllocStreamId.into();
        assert_eq!(execution(&busy).code, Code::Overloaded);
    }

    #[test]
    fn what_is_refused_for_good() {
        assert_eq!(of_server(DbError::SyntaxError, "line 1:7"), Code::Refused);
        assert_eq!(
            of_server(DbError::Invalid, "Expected 8 or 0 byte long (3)"),
            Code::Refused
        );
        assert_eq!(
            of_server(DbError::Invalid, "Batch too large"),
            Code::Refused
        );
        assert_eq!(
            of_server(DbError::ProtocolError, "cannot be read"),
            Code::Refused
        );
        let key = BadQuery::ValuesTooLongForKey(70_000, 65_535);
        let failure = execution(&key.into());
        assert_eq!(failure.code, Code::Refused);
        assert_eq!(
            failure.text,
            "the key has 70000 bytes and Cassandra allows 65535"
        );
    }

    #[test]
    fn what_the_schema_lacks() {
        for message in [
            "unconfigured table features",
            "table features does not exist",
            "Keyspace shop does not exist",
            "keyspace 'shop' does not exist",
            "Undefined column name total in table shop.features",
            "Undefined name total in selection clause",
            "Unknown type shop.address",
        ] {
            assert_eq!(
                of_server(DbError::Invalid, message),
                Code::Schema,
                "{message}"
            );
        }
        let changed = RequestAttemptError::RepreparedIdChanged {
            statement: String::new(),
            expected_id: vec![],
            reprepared_id: vec![],
        };
        assert_eq!(execution(&changed.into()).code, Code::Schema);
        let prepared = PrepareError::AllAttemptsFailed {
            first_attempt: RequestAttemptError::DbError(
                DbError::Invalid,
                "unconfigured table features".into(),
            ),
        };
        assert_eq!(prepare(&prepared).code, Code::Schema);
    }

    #[test]
    fn who_is_denied() {
        assert_eq!(
            of_server(DbError::Unauthorized, "User app has no MODIFY"),
            Code::Denied
        );
        assert_eq!(
            of_server(DbError::AuthenticationError, "Bad credentials"),
            Code::Denied
        );
        // Where the nodes that know the users are away.
        for (error, message) in [
            (
                DbError::AuthenticationError,
                "Unable to perform authentication: Cannot achieve consistency level QUORUM",
            ),
            (
                DbError::Unauthorized,
                "Unable to perform authorization of permissions: Operation timed out",
            ),
        ] {
            assert_eq!(of_server(error, message), Code::Passing);
        }
        let missing = ConnectionSetupRequestErrorKind::MissingAuthentication;
        assert_eq!(setup_request(&missing).code, Code::Denied);
        let wrong = ConnectionSetupRequestErrorKind::DbError(
            DbError::AuthenticationError,
            "Provided username app and/or password are incorrect".into(),
        );
        assert_eq!(setup_request(&wrong).code, Code::Denied);
        let starting = ConnectionSetupRequestErrorKind::DbError(DbError::ServerError, "".into());
        assert_eq!(setup_request(&starting).code, Code::Passing);
    }

    fn at_connect(error: std::io::Error) -> Failure {
        let last_connection_error = ConnectionError::IoError(Arc::new(error));
        let pool = ConnectionPoolError::Broken {
            last_connection_error,
        };
        new_session(&NewSessionError::MetadataError(
            MetadataError::ConnectionPoolError(pool),
        ))
    }

    #[test]
    fn connecting() {
        let refused = at_connect(std::io::Error::from_raw_os_error(libc::ECONNREFUSED));
        assert_eq!(refused.code, Code::Passing);
        assert!(
            refused.text.contains("Connection refused"),
            "{}",
            refused.text
        );

        let tls = "error:0A000086:SSL routines::certificate verify failed:statem_clnt.c:1889:";
        assert_eq!(at_connect(std::io::Error::other(tls)).code, Code::Tls);
        let hung_up = "error:0A000126:SSL routines::unexpected eof while reading";
        assert_eq!(
            at_connect(std::io::Error::other(hung_up)).code,
            Code::Passing
        );

        let names = NewSessionError::FailedToResolveAnyHostname(vec!["a.example:9042".into()]);
        assert_eq!(new_session(&names).code, Code::Passing);
        assert_eq!(
            new_session(&NewSessionError::EmptyKnownNodesList).code,
            Code::Refused
        );
    }

    #[test]
    fn a_lost_connection_is_said_shortly() {
        let text = "Connection broken, reason: Failed to deserialize frame: \
            Failed to read the frame header: Connection reset by peer (os error 104)";
        let short = "the connection to the node was lost: Connection reset by peer (os error 104)";
        assert_eq!(lost(text), short);
        let text = "Connection broken, reason: Timed out while waiting for response to keepalive";
        assert!(lost(text).ends_with("lost: Timed out while waiting for response to keepalive"));
    }

    #[test]
    fn a_text_is_one_line_that_fits() {
        assert_eq!(Failure::new(Code::Refused, " a\tb\n  c\0 ").text, "a b c");
        let long = Failure::new(Code::Refused, "ü".repeat(600)).text;
        assert!(long.len() < TEXT_MAX && long.ends_with("ü..."), "{long}");
        let fits = "x".repeat(TEXT_MAX - 1);
        assert_eq!(Failure::new(Code::Refused, &fits).text, fits);
    }
}
