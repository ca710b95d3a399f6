//! The windows job on dbsp, the engine of Feldera: of each event the count and the mean of its key's last 120 s (whole seconds, both ends in,
//! peers included, as windows.yaml has them), and the newest row of each key.
//!
//!     dbsp-windows {newest|every} WORKERS BATCH FILE...
//!
//! With `newest` it gives the newest row of each key only, as the programs on Flink and Kafka Streams do; with `every` a row for each event, too,
//! as Freshet does. BATCH events are one step. Lateness is 60 s: what is older than that and the window is forgotten. The last line is the
//! check, as JSON, with the seconds from its start to the circuit's being there, to the first rows and to the last.

use anyhow::{Context, Result, bail};
use dbsp::{
    OutputHandle, RootCircuit, Runtime, Stream, ZSetHandle, ZWeight,
    algebra::DefaultSemigroup,
    dynamic::{DynData, DynDataTyped},
    operator::{
        Fold,
        time_series::{RelOffset, RelRange},
    },
    typed_batch::{IndexedZSetReader, OrdZSet, SpineSnapshot, TypedBox},
    utils::Tup2,
};
use feldera_macros::IsNone;
use rkyv::{Archive, Serialize};
use size_of::SizeOf;
use std::{
    collections::HashMap,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::Instant,
};

#[global_allocator]
static ALLOC: dbsp::mimalloc::MiMalloc = dbsp::mimalloc::MiMalloc;

const WINDOW_S: u64 = 120;
const LATENESS_S: u64 = 60;

/// A short text, kept in place: kinder to dbsp than a String.
type Text = [u8; 8];

type Batch = Vec<Tup2<Event, ZWeight>>;
type Rows = OutputHandle<SpineSnapshot<OrdZSet<Row>>>;

#[derive(
    Clone, Default, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, SizeOf, Archive, Serialize, rkyv::Deserialize, IsNone,
)]
#[archive_attr(derive(Ord, Eq, PartialEq, PartialOrd))]
pub struct Event {
    pub id: u64,
    pub ts_us: u64,
    pub arrival: u64,
    pub cents: i64,
    pub country: Text,
    pub kind: Text,
    pub qty: i32,
}

#[derive(
    Clone, Default, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, SizeOf, Archive, Serialize, rkyv::Deserialize, IsNone,
)]
#[archive_attr(derive(Ord, Eq, PartialEq, PartialOrd))]
pub struct Row {
    pub event: Event,
    pub sum: i64,
    pub count: i64,
}

#[derive(serde::Deserialize)]
struct Line<'a> {
    id: u64,
    ts: &'a str,
    amount: f64,
    country: &'a str,
    kind: &'a str,
    qty: i32,
}

fn text(of: &str) -> Text {
    let mut text = [0u8; 8];
    text[..of.len()].copy_from_slice(of.as_bytes());
    text
}

/// Since 1970, of 2024-05-01T12:00:00.123.
fn microseconds(of: &[u8]) -> u64 {
    let number = |from: usize, n: usize| of[from..from + n].iter().fold(0u64, |sum, c| sum * 10 + (c - b'0') as u64);
    let (year, month, day) = (number(0, 4), number(5, 2), number(8, 2));
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    (((days * 24 + number(11, 2)) * 60 + number(14, 2)) * 60 + number(17, 2)) * 1_000_000 + number(20, 3) * 1000
}

fn parse(line: &mut [u8], arrival: u64, buffers: &mut simd_json::Buffers) -> Result<Event> {
    let line: Line = simd_json::serde::from_slice_with_buffers(line, buffers)?;
    Ok(Event {
        id: line.id,
        ts_us: microseconds(line.ts.as_bytes()),
        arrival,
        cents: (line.amount * 100.0).round() as i64,
        country: text(line.country),
        kind: text(line.kind),
        qty: line.qty,
    })
}

/// Reads the files in their order, and sends batches; a thread of its own.
fn read(files: Vec<String>, size: usize, to: SyncSender<Batch>) -> Result<()> {
    let mut buffers = simd_json::Buffers::new(4096);
    let mut arrival = 0u64;
    let mut batch = Vec::with_capacity(size);
    for file in files {
        let mut bytes = std::fs::read(&file).context(file)?;
        for line in bytes.split_mut(|c| *c == b'\n').filter(|line| !line.is_empty()) {
            batch.push(Tup2(parse(line, arrival, &mut buffers)?, 1));
            arrival += 1;
            if batch.len() == size {
                to.send(std::mem::replace(&mut batch, Vec::with_capacity(size)))?;
            }
        }
    }
    to.send(batch)?;
    Ok(())
}

/// The events' input, the newest rows, and with `every` the rows of all events.
fn circuit(c: &mut RootCircuit, every: bool) -> Result<(ZSetHandle<Event>, Rows, Option<Rows>)> {
    let (events, input) = c.add_input_zset::<Event>();
    let by_second = events.map_index(|e| (e.ts_us / 1_000_000, Tup2(e.id, e.cents)));
    let waterline: Stream<_, TypedBox<u64, DynDataTyped<u64>>> =
        by_second.waterline_monotonic(|| 0, |second| second.saturating_sub(LATENESS_S));
    let sums = <Fold<i64, Tup2<i64, i64>, DefaultSemigroup<_>, _, _>>::new(
        Tup2(0, 0),
        |sum: &mut Tup2<i64, i64>, cents: &i64, weight: ZWeight| {
            sum.0 += cents * weight;
            sum.1 += weight;
        },
    );
    let window = RelRange::new(RelOffset::Before(WINDOW_S), RelOffset::Before(0));
    let windows = by_second
        .partitioned_rolling_aggregate_with_waterline(&waterline, |Tup2(id, cents)| (*id, *cents), sums, window)
        .map_index(|(id, Tup2(second, sums))| (Tup2(*id, *second), sums.clone().unwrap()));
    // What is older than the lateness and the window cannot be joined any more.
    let oldest: Stream<_, TypedBox<u64, DynData>> =
        by_second.waterline_monotonic(|| 0, |second| second.saturating_sub(LATENESS_S + WINDOW_S));
    windows.accumulate_integrate_trace_retain_keys(&oldest, |key, oldest| key.1 >= *oldest);
    let row = |_: &Tup2<u64, u64>, event: &Event, sums: &Tup2<i64, i64>| Row {
        event: event.clone(),
        sum: sums.0,
        count: sums.1,
    };
    let newest = events.map_index(|e| (e.id, e.clone())).chain_aggregate(
        |e, _| e.clone(),
        |newest, e, _| if (e.ts_us, e.arrival) > (newest.ts_us, newest.arrival) { e.clone() } else { newest },
    );
    let newest = newest
        .map_index(|(id, e)| (Tup2(*id, e.ts_us / 1_000_000), e.clone()))
        .join(&windows, row)
        .accumulate_output();
    let all = every.then(|| {
        events.map_index(|e| (Tup2(e.id, e.ts_us / 1_000_000), e.clone())).join(&windows, row).accumulate_output()
    });
    Ok((input, newest, all))
}

/// Takes what has changed of the newest rows into the table.
fn apply(rows: &Rows, table: &mut HashMap<u64, Row>) {
    let mut gone = Vec::new();
    for (row, _, weight) in rows.concat().consolidate().iter() {
        if weight > 0 {
            table.insert(row.event.id, row);
        } else {
            gone.push(row);
        }
    }
    for row in gone {
        if table.get(&row.event.id) == Some(&row) {
            table.remove(&row.event.id);
        }
    }
}

fn check(table: &HashMap<u64, Row>) -> String {
    let (mut cnt, mut avg, mut amount, mut qty, mut views, mut times) = (0i64, 0f64, 0f64, 0i64, 0, 0u64);
    for row in table.values() {
        cnt += row.count;
        avg += row.sum as f64 / 100.0 / row.count as f64;
        amount += row.event.cents as f64 / 100.0;
        qty += row.event.qty as i64;
        views += (row.event.country == text("BR") && row.event.kind == text("view")) as i64;
        times += row.event.ts_us % 1_000_000_007;
    }
    format!(
        "\"keys\": {}, \"cnt\": {cnt}, \"avg\": {avg:.6}, \"amount\": {amount:.2}, \"qty\": {qty}, \"views\": {views}, \"times\": {times}",
        table.len()
    )
}

fn main() -> Result<()> {
    let began = Instant::now();
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.len() < 5 || !["newest", "every"].contains(&arguments[1].as_str()) {
        bail!("usage: dbsp-windows {{newest|every}} WORKERS BATCH FILE...");
    }
    let (every, workers, size) = (arguments[1] == "every", arguments[2].parse::<usize>()?, arguments[3].parse()?);
    let (to, batches): (SyncSender<Batch>, Receiver<Batch>) = sync_channel(2);
    let files = arguments[4..].to_vec();
    let reader = std::thread::spawn(move || read(files, size, to));
    let (mut dbsp, (input, newest, all)) = Runtime::init_circuit(workers, move |c| circuit(c, every))?;
    let from = began.elapsed();
    let mut table = HashMap::<u64, Row>::with_capacity(1 << 18);
    let mut log: Vec<Row> = Vec::new(); // of `every`: the rows given, as a table that is appended to
    let mut first = None;
    for mut batch in batches {
        input.append(&mut batch);
        dbsp.transaction()?;
        apply(&newest, &mut table);
        if let Some(all) = &all {
            log.extend(all.concat().consolidate().iter().filter(|(_, _, weight)| *weight > 0).map(|(row, _, _)| row));
        }
        first.get_or_insert_with(|| began.elapsed());
    }
    reader.join().expect("the reader's thread")?;
    let last = began.elapsed();
    println!(
        "{{{}, \"rows_given\": {}, \"from_s\": {:.3}, \"first_s\": {:.3}, \"last_s\": {:.3}}}",
        check(&table),
        log.len(),
        from.as_secs_f64(),
        first.unwrap_or(last).as_secs_f64(),
        last.as_secs_f64()
    );
    std::process::exit(0); // tearing the circuit down is not measured
}
