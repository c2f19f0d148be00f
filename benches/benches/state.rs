//! `/state` of a master with 300 agents in its own OS process: how long one reply takes, asked
//! one after another.

use tepui_benches::http::get;
use tepui_benches::masters::masters;
use tepui_benches::{Contender, compare, median, milliseconds};

const AGENTS: usize = 300;
/// Requests of one run; the run's figure is their median.
const REQUESTS: usize = 20;

fn main() {
    let masters = masters(AGENTS, &["--resources=cpus:4;mem:4096;disk:1000"]);
    for master in &masters {
        let bytes = get(&master.address, "/master/state").len();
        println!("  {}: {bytes} bytes", master.name);
    }
    let mut contenders: Vec<Contender<'_>> = masters
        .iter()
        .map(|master| Contender {
            name: master.name,
            unit: "ms",
            run: Box::new(|| {
                let times: Vec<f64> = (0..REQUESTS)
                    .map(|_| {
                        milliseconds(|| {
                            get(&master.address, "/master/state");
                        })
                    })
                    .collect();
                median(&times)
            }),
        })
        .collect();
    compare("/state with 300 agents", &mut contenders);
}
