//! Figures as tables or JSON: medians over the rounds, ratios paired by round, goals met and missed.

use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    cases::{Bound, CASES, Contender, GOALS, Goal, Metric},
    run::{Idle, Sample},
};

/// Above this the reader is warned.
const OTHERS_MAX: f64 = 0.03;

#[derive(Default)]
pub(crate) struct Report {
    series: Vec<SeriesOfSamples>,
    pub(crate) idle: Vec<Idle>,
    /// The part of the two cores that other processes had.
    pub(crate) others: f64,
}

struct SeriesOfSamples {
    case: &'static str,
    contender: Contender,
    /// By round; a failed one is missing.
    samples: Vec<Option<Sample>>,
}

/// How a goal came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    Met,
    Missed,
    NotMeasured,
}

impl Report {
    pub(crate) fn add(&mut self, case: &'static str, contender: Contender, round: usize, sample: Sample) {
        let at = match self.series.iter().position(|s| s.case == case && s.contender == contender) {
            Some(at) => at,
            None => {
                self.series.push(SeriesOfSamples { case, contender, samples: Vec::new() });
                self.series.len() - 1
            }
        };
        let samples = &mut self.series[at].samples;
        samples.resize(round + 1, None);
        samples[round] = Some(sample);
    }

    fn find(&self, case: &str, contender: Contender) -> Option<&SeriesOfSamples> {
        self.series.iter().find(|s| s.case == case && s.contender == contender)
    }

    /// The median over the rounds of `metric` of one series divided by another's.
    fn ratio(&self, metric: Metric, of: (&str, Contender), to: (&str, Contender)) -> Option<f64> {
        let (of, to) = (self.find(of.0, of.1)?, self.find(to.0, to.1)?);
        let pairs = of.samples.iter().zip(&to.samples).filter_map(|(a, b)| a.zip(*b));
        median(pairs.map(|(a, b)| a.get(metric) / b.get(metric)))
    }

    fn judge(&self, goal: &Goal) -> Judged {
        Judged { text: goal.text, bound: goal.bound, figure: self.ratio(goal.metric, goal.of, goal.to) }
    }
}

/// A goal, and what was seen.
pub(crate) struct Judged {
    pub(crate) text: &'static str,
    pub(crate) bound: Bound,
    /// None if it was not measured.
    pub(crate) figure: Option<f64>,
}

impl Judged {
    fn verdict(&self) -> Verdict {
        match self.figure {
            None => Verdict::NotMeasured,
            Some(figure) if self.bound.holds(figure) => Verdict::Met,
            Some(_) => Verdict::Missed,
        }
    }
}

/// The goals that were measured, where there are any; `unit` says what their figures are.
pub(crate) fn goal_table(unit: &str, goals: &[Judged]) -> String {
    let mut table = table(&["goal", "bound", unit, ""]);
    for goal in goals {
        let said = match goal.verdict() {
            Verdict::Met => "met",
            Verdict::Missed => "MISSED",
            Verdict::NotMeasured => continue,
        };
        table.add_row([goal.text.to_owned(), goal.bound.to_string(), times(goal.figure), said.to_owned()]);
    }
    if table.row_count() > 0 { format!("\n{table}\n") } else { String::new() }
}

/// The same for programs.
pub(crate) fn goal_json(unit: &str, goals: &[Judged]) -> Vec<Value> {
    let json = |goal: &Judged| json!({"goal": goal.text, "bound": goal.bound.to_string(), unit: goal.figure, "verdict": goal.verdict()});
    goals.iter().map(json).collect()
}

impl Sample {
    fn get(&self, metric: Metric) -> f64 {
        match metric {
            Metric::Iops => self.iops,
            Metric::P50 => self.p50,
            Metric::P99 => self.p99,
        }
    }
}

impl SeriesOfSamples {
    fn median(&self, of: impl Fn(&Sample) -> f64) -> f64 {
        median(self.samples.iter().flatten().map(of)).unwrap_or(f64::NAN)
    }

    /// Half the range of IOPS, as a part of the median.
    fn spread(&self) -> f64 {
        let iops = || self.samples.iter().flatten().map(|sample| sample.iops);
        let (low, high) = (iops().fold(f64::INFINITY, f64::min), iops().fold(0.0, f64::max));
        (high - low) / 2.0 / self.median(|sample| sample.iops)
    }
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

pub(crate) fn tables(report: &Report) -> String {
    let mut text = String::new();
    if !report.series.is_empty() {
        text += &format!("{}\n", figures(report));
    }
    if !report.idle.is_empty() {
        let mut table = table(&["idle sessions", "RSS KiB a session", "PSS KiB a session"]);
        for idle in &report.idle {
            let kib = |bytes: f64| format!("{:.1}", bytes / 1024.0);
            table.add_row([idle.target.to_owned(), kib(idle.rss), kib(idle.pss)]);
        }
        text += &format!("\n{table}\n");
    }
    text += &goal_table("ratio", &judged(report));
    if report.others > OTHERS_MAX {
        let percent = report.others * 100.0;
        text += &format!("\nOther processes had {percent:.0} % of the two cores: expect noise.\n");
    }
    text
}

fn judged(report: &Report) -> Vec<Judged> {
    GOALS.iter().map(|goal| report.judge(goal)).collect()
}

fn figures(report: &Report) -> Table {
    let mut table = table(&[
        "case",
        "target",
        "IOPS",
        "+-",
        "MB/s",
        "p50 us",
        "p99 us",
        "p99.9 us",
        "CPU us",
        "client us",
        "x null",
        "x tgt",
    ]);
    for case in CASES {
        for &contender in case.contenders {
            let Some(series) = report.find(case.name, contender) else { continue };
            let ratio_to = |other| report.ratio(Metric::Iops, (case.name, contender), (case.name, other));
            let beside = series.median(|s| s.beside_mb_s);
            let mb_s = series.median(|s| s.mb_s);
            let micros = |of: fn(&Sample) -> f64| format!("{:.1}", series.median(of));
            table.add_row([
                case.name.to_owned(),
                contender.name().to_owned(),
                format!("{:.0}", series.median(|s| s.iops)),
                format!("{:.0} %", series.spread() * 100.0),
                if beside > 0.0 { format!("{mb_s:.0} + {beside:.0}") } else { format!("{mb_s:.0}") },
                micros(|s| s.p50),
                micros(|s| s.p99),
                micros(|s| s.p999),
                format!("{:.2}", series.median(|s| s.cpu)),
                format!("{:.2}", series.median(|s| s.client_cpu)),
                times(ratio_to(Contender::Null)),
                times(ratio_to(Contender::Tgt)),
            ]);
        }
    }
    table
}

fn times(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"))
}

/// Names to the left, figures to the right.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header.iter().copied());
    for column in table.column_iter_mut() {
        let is_name =
            header.get(column.index).is_some_and(|name| ["case", "target", "goal", "what"].contains(name));
        column.set_cell_alignment(if is_name { CellAlignment::Left } else { CellAlignment::Right });
    }
    table
}

pub(crate) fn json(report: &Report) -> Result<String> {
    let results: Vec<Value> = report
        .series
        .iter()
        .map(|series| {
            let ratio_to =
                |other| report.ratio(Metric::Iops, (series.case, series.contender), (series.case, other));
            json!({
                "case": series.case,
                "target": series.contender.name(),
                "median": {
                    "iops": series.median(|s| s.iops),
                    "mb_s": series.median(|s| s.mb_s),
                    "p50": series.median(|s| s.p50),
                    "p99": series.median(|s| s.p99),
                    "p999": series.median(|s| s.p999),
                    "cpu": series.median(|s| s.cpu),
                    "client_cpu": series.median(|s| s.client_cpu),
                    "beside_mb_s": series.median(|s| s.beside_mb_s),
                },
                "ratio_to_null": ratio_to(Contender::Null),
                "ratio_to_tgt": ratio_to(Contender::Tgt),
                "rounds": series.samples,
            })
        })
        .collect();
    let goals = goal_json("ratio", &judged(report));
    let document = json!({"results": results, "idle_bytes_a_session": report.idle, "goals": goals, "others": report.others});
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(iops: f64) -> Sample {
        Sample { iops, mb_s: 0.0, p50: 0.0, p99: 0.0, p999: 0.0, cpu: 0.0, client_cpu: 0.0, beside_mb_s: 0.0 }
    }

    /// Of the first goal.
    fn verdict(report: &Report) -> (Option<f64>, Verdict) {
        let judged = report.judge(&GOALS[0]);
        (judged.figure, judged.verdict())
    }

    #[test]
    fn ratios_are_paired_by_round() {
        let mut report = Report::default();
        for (round, (ours, theirs)) in [(10.0, 1.0), (60.0, 2.0), (20.0, 1.0)].into_iter().enumerate() {
            report.add("4k-randread", Contender::Felio, round, sample(ours));
            report.add("4k-randread", Contender::Tgt, round, sample(theirs));
        }
        assert_eq!(verdict(&report), (Some(20.0), Verdict::Met));
    }

    #[test]
    fn a_round_that_failed_pairs_with_nothing() {
        let mut report = Report::default();
        report.add("4k-randread", Contender::Felio, 1, sample(10.0));
        report.add("4k-randread", Contender::Tgt, 0, sample(1.0));
        assert_eq!(verdict(&report), (None, Verdict::NotMeasured));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }
}
