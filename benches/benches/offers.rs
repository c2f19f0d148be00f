//! How soon offers come, on a master with 100 agents in its own OS process: behind SUBSCRIBE and
//! REVIVE, and, with 60 frameworks, behind another framework's DECLINE.

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use tepui_benches::http::{Arrived, Framework, next, next_within};
use tepui_benches::masters::{Master, masters};
use tepui_benches::{Contender, Figures, RUNS, compare, machine, median};

const AGENTS: usize = 100;
const FRAMEWORKS: usize = 60;
/// Measured in one run; the run's figure is their median.
const ROUNDS: usize = 10;
/// The same of first offers, before each of which the master comes to rest.
const FIRST: usize = 6;
/// Not offered again within this measurement.
const LONG_S: f64 = 10_000.0;
/// A master that allocates once a second has been quiet for long enough.
const QUIET: Duration = Duration::from_millis(1500);

fn offers(arrived: &Arrived) -> Vec<Value> {
    let offers = arrived.event["offers"]["offers"].as_array();
    offers.cloned().unwrap_or_default()
}

/// From SUBSCRIBE to the first offers, and from REVIVE to the next ones.
fn first_offers(master: &Master) -> (f64, f64) {
    let (mut subscribed, mut revived) = (Vec::new(), Vec::new());
    for round in 0..FIRST {
        let (sender, events) = channel();
        // The end of the framework before is not measured.
        master.wait_for_allocation();
        let (mut framework, sent) = Framework::subscribe(&master.address, round, &sender);
        let mut first = next(&events, "OFFERS");
        subscribed.push(milliseconds(sent, first.at));
        loop {
            framework.decline(&offers(&first), LONG_S);
            match next_within(&events, "OFFERS", Duration::from_millis(100)) {
                Some(more) => first = more,
                None => break,
            }
        }
        let sent = framework.call("REVIVE", Value::Null);
        revived.push(milliseconds(sent, next(&events, "OFFERS").at));
        framework.teardown();
    }
    (median(&subscribed), median(&revived))
}

fn milliseconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() * 1000.0
}

/// Sixty frameworks that hold what they are offered.
struct Crowd {
    frameworks: Vec<Framework>,
    events: Receiver<Arrived>,
    /// Who holds which offer.
    held: Vec<(usize, Value)>,
}

impl Crowd {
    fn gather(master: &Master) -> Crowd {
        let (sender, events) = channel();
        let frameworks = (0..FRAMEWORKS)
            .map(|number| Framework::subscribe(&master.address, number, &sender).0)
            .collect();
        let mut crowd = Crowd {
            frameworks,
            events,
            held: Vec::new(),
        };
        while let Some(arrived) = next_within(&crowd.events, "OFFERS", QUIET) {
            crowd.hold(&arrived);
        }
        crowd
    }

    fn hold(&mut self, arrived: &Arrived) {
        let offers = offers(arrived).into_iter();
        self.held
            .extend(offers.map(|offer| (arrived.framework, offer)));
    }

    /// One decline, until another framework is offered that agent.
    fn decline(&mut self) -> f64 {
        let (holder, offer) = self.held.remove(0);
        let agent = offer["agent_id"].clone();
        let sent = self.frameworks[holder].decline(&[offer], LONG_S);
        loop {
            let arrived = next(&self.events, "OFFERS");
            self.hold(&arrived);
            let again = offers(&arrived)
                .iter()
                .any(|offer| offer["agent_id"] == agent);
            if again && arrived.framework != holder {
                return milliseconds(sent, arrived.at);
            }
        }
    }
}

fn main() {
    let masters = masters(AGENTS, &["--resources=cpus:4;mem:4096;disk:1000"]);
    let mut figures = Vec::new();
    for _ in 0..RUNS {
        let run = masters.iter().map(first_offers);
        figures.push(run.collect::<Vec<(f64, f64)>>());
    }
    println!("first offers, 100 agents\n  on {}", machine());
    for (number, master) in masters.iter().enumerate() {
        let of = |what: &str, pick: fn(&(f64, f64)) -> f64| Figures {
            name: format!("{}: {what} to OFFERS", master.name),
            unit: "ms",
            runs: figures.iter().map(|run| pick(&run[number])).collect(),
        };
        println!("  {}", of("SUBSCRIBE", |both| both.0));
        println!("  {}", of("REVIVE", |both| both.1));
    }

    let mut crowds: Vec<(&str, Crowd)> = masters
        .iter()
        .map(|master| (master.name, Crowd::gather(master)))
        .collect();
    let mut declined: Vec<Contender<'_>> = crowds
        .iter_mut()
        .map(|(name, crowd)| Contender {
            name,
            unit: "ms",
            run: Box::new(|| {
                let rounds: Vec<f64> = (0..ROUNDS).map(|_| crowd.decline()).collect();
                median(&rounds)
            }),
        })
        .collect();
    compare(
        "DECLINE to the next framework's offer, 60 frameworks, 100 agents",
        &mut declined,
    );
}
