//! One connection to a cluster: a tokio runtime of its own, the driver's session, and the queue that
//! completions go to.
//!
//! The driver is told to do nothing by itself that the writer would not know of: it never sends a
//! request twice (no retries, no speculative execution), never lowers the consistency, never uses
//! another data centre than local_dc. What it does: pools and their reconnecting, topology, routing
//! to a replica, preparing again at nodes that have forgotten a statement.
//!
//! A group of single requests is one task that drives them all: fewer wake-ups than a task each.

use crate::failure::{self, Code, Failure};
use crate::group::Group;
use crate::queue::Queue;
use crate::rows::Rows;
use crate::tls::{self, Complaint, TlsOptions};
use futures::stream::{self, FuturesUnordered, StreamExt, TryStreamExt};
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::OpenSsl010Config;
use scylla::client::session_builder::SessionBuilder;
use scylla::client::{Compression, PoolSize};
use scylla::errors::ExecutionError;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::response::query_result::QueryResult;
use scylla::response::{PagingState, PagingStateResponse};
use scylla::statement::batch::{Batch, BatchStatement, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::unprepared;
use scylla::statement::Consistency;
use std::collections::BTreeSet;
use std::future::Future;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

const THREADS_MAX: usize = 64;
/// Rows that are asked for at once; a query asks again until it has all.
const PAGE_ROWS: i32 = 5000;
/// Reads of one call that are under way at a time.
const IN_FLIGHT: usize = 128;
/// A connection whose other side is silent for so long is given up; twice at most passes until then.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// What changes the schema takes long and must not be given up lightly.
const DDL_TIMEOUT: Duration = Duration::from_secs(60);
/// How long close() waits for the driver's threads; one may be resolving a name.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

pub struct Options<'a> {
    pub hosts: &'a str,
    pub local_dc: Option<&'a str>,
    pub user: Option<&'a str>,
    pub password: &'a str,
    pub tls: bool,
    pub verify: bool,
    pub ca_file: Option<&'a str>,
    pub cert_file: Option<&'a str>,
    pub key_file: Option<&'a str>,
    pub connect_timeout_ms: i32,
    pub request_timeout_ms: i32,
    pub threads: i32,
    pub compress: bool,
}

impl Options<'_> {
    fn threads(&self) -> usize {
        (self.threads.max(1) as usize).min(THREADS_MAX)
    }

    fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms.max(1) as u64)
    }

    fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms.max(1) as u64)
    }
}

pub struct Session {
    runtime: Runtime,
    driver: Arc<scylla::client::session::Session>,
    queue: Arc<Queue>,
    complaint: Complaint,
}

pub struct Statement {
    prepared: PreparedStatement,
    consistency: Consistency,
}

impl Statement {
    pub fn n_values(&self) -> usize {
        self.prepared.get_variable_col_specs().len()
    }
}

// --- Connecting -------------------------------------------------------------------------------------

impl Session {
    pub fn connect(options: &Options) -> Result<Session, Failure> {
        let system = |e: std::io::Error| {
            Failure::new(Code::Passing, format!("the client cannot be started: {e}"))
        };
        let queue = Arc::new(Queue::new().map_err(system)?);
        let complaint = Complaint::default();
        let builder = builder(options, &complaint)?;
        let runtime = runtime(options.threads()).map_err(system)?;
        let built = runtime.block_on(async {
            tokio::time::timeout(options.connect_timeout(), builder.build()).await
        });
        let failure = match built {
            Ok(Ok(driver)) => match has_data_centre(&driver, options.local_dc) {
                Ok(()) => {
                    let driver = Arc::new(driver);
                    return Ok(Session {
                        runtime,
                        driver,
                        queue,
                        complaint,
                    });
                }
                Err(failure) => failure,
            },
            Ok(Err(error)) => explained(failure::new_session(&error), &complaint),
            Err(_) => Failure::new(
                Code::Passing,
                format!(
                    "{} cannot be reached within {} ms",
                    options.hosts, options.connect_timeout_ms
                ),
            ),
        };
        runtime.shutdown_timeout(CLOSE_TIMEOUT);
        Err(failure)
    }

    pub fn close(self) {
        let Session {
            runtime, driver, ..
        } = self;
        drop(driver);
        runtime.shutdown_timeout(CLOSE_TIMEOUT);
    }
}

fn runtime(threads: usize) -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(4)
        .thread_name("cassandra")
        .on_thread_start(block_signals)
        .enable_all()
        .build()
}

/// Handlers run in the program's own threads, and a write to a closed socket is an error.
fn block_signals() {
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
    }
}

fn builder(options: &Options, complaint: &Complaint) -> Result<SessionBuilder, Failure> {
    let mut policy = DefaultPolicy::builder()
        .token_aware(true)
        .permit_dc_failover(false);
    if let Some(dc) = options.local_dc {
        policy = policy.prefer_datacenter(dc.to_owned());
    }
    let profile = ExecutionProfile::builder()
        .consistency(Consistency::LocalOne)
        .load_balancing_policy(policy.build())
        .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
        .speculative_execution_policy(None)
        .request_timeout(Some(options.request_timeout()))
        .build();
    let connections = NonZeroUsize::new(options.threads()).unwrap_or(NonZeroUsize::MIN);
    let mut builder = SessionBuilder::new()
        .known_nodes(
            options
                .hosts
                .split(',')
                .map(str::trim)
                .filter(|host| !host.is_empty()),
        )
        .default_execution_profile_handle(profile.into_handle())
        .connection_timeout(options.connect_timeout())
        .hostname_resolution_timeout(Some(options.connect_timeout()))
        .pool_size(PoolSize::PerHost(connections))
        .compression(options.compress.then_some(Compression::Lz4))
        .keepalive_interval(KEEPALIVE)
        .keepalive_timeout(KEEPALIVE)
        .fetch_full_schema_metadata(false)
        .auto_await_schema_agreement(false);
    if let Some(user) = options.user {
        builder = builder.user(user, options.password);
    }
    if options.tls {
        let tls = TlsOptions {
            hosts: options.hosts,
            verify: options.verify,
            ca_file: options.ca_file,
            cert_file: options.cert_file,
            key_file: options.key_file,
        };
        let context = OpenSsl010Config::from_dangerous_builder(tls::context(&tls, complaint)?);
        builder = builder.tls_context(Some(context.set_use_tls_tickets(false)));
    }
    Ok(builder)
}

fn has_data_centre(
    driver: &scylla::client::session::Session,
    wanted: Option<&str>,
) -> Result<(), Failure> {
    let state = driver.get_cluster_state();
    let there = state
        .get_nodes_info()
        .iter()
        .filter_map(|node| node.datacenter.as_deref())
        .collect();
    wanted.map_or(Ok(()), |dc| is_among(dc, there))
}

/// Where the connection breaks while the driver asks for the cluster's nodes, it opens a session all the same, which
/// knows the contact points only and no data centre: then nobody can say that one is missing.
fn is_among(dc: &str, there: BTreeSet<&str>) -> Result<(), Failure> {
    if there.contains(dc) {
        Ok(())
    } else if there.is_empty() {
        Err(Failure::new(
            Code::Passing,
            "the cluster did not say which nodes it has",
        ))
    } else {
        let names = there.into_iter().collect::<Vec<_>>().join(", ");
        Err(Failure::new(
            Code::Refused,
            format!("the cluster has no data centre \"{dc}\"; it has {names}"),
        ))
    }
}

/// A failed handshake says little; the certificate's complaint says what is wrong.
fn explained(failure: Failure, complaint: &Complaint) -> Failure {
    let complaint = complaint.lock().unwrap();
    if failure.code == Code::Tls && !complaint.is_empty() {
        Failure::new(Code::Tls, &*complaint)
    } else {
        failure
    }
}

// --- Statements and what they send ------------------------------------------------------------------

fn consistency_in(number: u32) -> Option<Consistency> {
    Some(match number {
        0 => Consistency::Any,
        1 => Consistency::One,
        2 => Consistency::Two,
        3 => Consistency::Three,
        4 => Consistency::Quorum,
        5 => Consistency::All,
        6 => Consistency::LocalQuorum,
        7 => Consistency::EachQuorum,
        8 => Consistency::LocalOne,
        _ => return None,
    })
}

impl Session {
    pub fn prepare(&self, cql: &str, consistency: u32) -> Result<Statement, Failure> {
        let consistency = consistency_in(consistency)
            .ok_or_else(|| Failure::new(Code::Refused, "no such consistency"))?;
        match self.runtime.block_on(self.driver.prepare(cql)) {
            Ok(mut prepared) => {
                prepared.set_is_idempotent(true);
                prepared.set_consistency(consistency);
                prepared.set_page_size(PAGE_ROWS);
                Ok(Statement {
                    prepared,
                    consistency,
                })
            }
            Err(error) => Err(explained(failure::prepare(&error), &self.complaint)),
        }
    }

    pub fn submit(&self, statement: Arc<Statement>, group: Group, as_batch: bool, tag: u64) {
        let driver = Arc::clone(&self.driver);
        let queue = Arc::clone(&self.queue);
        let complaint = Arc::clone(&self.complaint);
        self.runtime.spawn(async move {
            let failed = |row, error: &ExecutionError| {
                queue.row_failed(tag, row, explained(failure::execution(error), &complaint));
            };
            if as_batch && group.n_rows() > 0 {
                let rows: Vec<_> = (0..group.n_rows()).map(|row| group.row(row)).collect();
                if let Err(error) = driver.batch(&batch_of(&statement, rows.len()), rows).await {
                    (0..group.n_rows()).for_each(|row| failed(row, &error));
                }
            } else {
                let one = |row| {
                    let sent = driver.execute_unpaged(&statement.prepared, group.row(row));
                    async move { (row, sent.await) }
                };
                let mut sent: FuturesUnordered<_> = (0..group.n_rows()).map(one).collect();
                while let Some((row, result)) = sent.next().await {
                    if let Err(error) = result {
                        failed(row, &error);
                    }
                }
            }
            queue.group_done(tag);
        });
    }

    pub fn queue(&self) -> &Queue {
        &self.queue
    }
}

fn batch_of(statement: &Statement, n_rows: usize) -> Batch {
    let each = BatchStatement::from(statement.prepared.clone());
    let mut batch = Batch::new_with_statements(BatchType::Unlogged, vec![each; n_rows]);
    batch.set_is_idempotent(true);
    batch.set_consistency(statement.consistency);
    batch
}

// --- Queries ----------------------------------------------------------------------------------------

impl Session {
    pub fn query(&self, cql: &str) -> Result<Rows, Failure> {
        let mut statement = unprepared::Statement::new(cql);
        statement.set_page_size(PAGE_ROWS);
        let verb = cql.split_whitespace().next().unwrap_or("");
        if !verb.eq_ignore_ascii_case("select") {
            statement.set_request_timeout(Some(DDL_TIMEOUT));
        }
        self.all_pages(|from| self.driver.query_single_page(statement.clone(), (), from))
    }

    pub fn execute(&self, statement: &Statement, group: &Group) -> Result<Rows, Failure> {
        let prepared = &statement.prepared;
        self.all_pages(|from| {
            self.driver
                .execute_single_page(prepared, group.row(0), from)
        })
    }

    /// One execution for each row of the group, IN_FLIGHT at a time: the answers in their order, and how
    /// many rows each has.
    pub fn execute_many(
        &self,
        statement: &Statement,
        group: &Group,
    ) -> Result<(Rows, Vec<u32>), Failure> {
        let prepared = &statement.prepared;
        let one = |row| {
            self.pages(move |from| {
                self.driver
                    .execute_single_page(prepared, group.row(row), from)
            })
        };
        let answers: Vec<Rows> = self.runtime.block_on(
            stream::iter(0..group.n_rows())
                .map(one)
                .buffered(IN_FLIGHT)
                .try_collect(),
        )?;
        let counts = answers.iter().map(|answer| answer.count() as u32).collect();
        let mut rows = Rows::default();
        for answer in answers {
            rows.append(answer)?;
        }
        Ok((rows, counts))
    }

    fn all_pages<F>(&self, page: impl Fn(PagingState) -> F) -> Result<Rows, Failure>
    where
        F: Future<Output = Result<(QueryResult, PagingStateResponse), ExecutionError>>,
    {
        self.runtime.block_on(self.pages(page))
    }

    async fn pages<F>(&self, page: impl Fn(PagingState) -> F) -> Result<Rows, Failure>
    where
        F: Future<Output = Result<(QueryResult, PagingStateResponse), ExecutionError>>,
    {
        let mut rows = Rows::default();
        let mut from = PagingState::start();
        loop {
            let (result, next) = page(from)
                .await
                .map_err(|e| explained(failure::execution(&e), &self.complaint))?;
            if result.is_rows() {
                let page = result
                    .into_rows_result()
                    .map_err(|e| Failure::new(Code::Passing, e.to_string()))?;
                rows.add(&page)?;
            }
            match next.into_paging_control_flow() {
                ControlFlow::Break(()) => return Ok(rows),
                ControlFlow::Continue(next) => from = next,
            }
        }
    }

    /// Also makes known to the driver what has been created, so that it can route to it.
    pub fn await_schema(&self) -> Result<(), Failure> {
        self.runtime.block_on(async {
            self.driver
                .await_schema_agreement()
                .await
                .map_err(|e| failure::schema_agreement(&e))?;
            self.driver
                .refresh_metadata()
                .await
                .map_err(|e| failure::metadata(&e))
        })
    }

    /// Known nodes, and those with a connection now.
    pub fn nodes(&self) -> (u32, u32) {
        let state = self.driver.get_cluster_state();
        let nodes = state.get_nodes_info();
        (
            nodes.len() as u32,
            nodes.iter().filter(|node| node.is_connected()).count() as u32,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_centre_is_missing_only_where_others_are_known() {
        assert!(is_among("a", BTreeSet::from(["a", "b"])).is_ok());
        let missing = is_among("c", BTreeSet::from(["a", "b"])).unwrap_err();
        assert_eq!(missing.code, Code::Refused);
        assert_eq!(
            missing.text,
            "the cluster has no data centre \"c\"; it has a, b"
        );
        let unknown = is_among("c", BTreeSet::new()).unwrap_err();
        assert_eq!(unknown.code, Code::Passing);
    }
}
