//! The schedulers' processes: they are started, killed and started anew under the same id, and
//! what each says is kept in the ledger.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::ledger::Ledger;

/// What a scheduler's process said: which, in which of its lives, and the line; none at its end.
type Said = (usize, u32, Option<String>);

struct Framework {
    name: String,
    id: Option<String>,
    /// The agent and the id of each, with a blank between them.
    executors: BTreeSet<String>,
    child: Child,
    input: ChildStdin,
    life: u32,
    at_rest: bool,
    /// Killed, and to be started anew then, once all it said is read.
    due: Option<Instant>,
    ended: bool,
}

/// All of them.
pub struct Frameworks {
    master: String,
    seed: u64,
    all: Vec<Framework>,
    said: Receiver<Said>,
    sender: Sender<Said>,
    /// Until then they launch in haste.
    hurry: Option<Instant>,
    pub ledger: Ledger,
    /// How many were killed.
    pub kills: usize,
}

impl Frameworks {
    /// Starts so many frameworks, which launch in haste for a while.
    pub fn start(master: &str, seed: u64, count: usize, hurry: Duration) -> Frameworks {
        let (sender, said) = channel();
        let mut frameworks = Frameworks {
            master: master.to_owned(),
            seed,
            all: Vec::new(),
            said,
            sender,
            hurry: (!hurry.is_zero()).then(|| Instant::now() + hurry),
            ledger: Ledger::default(),
            kills: 0,
        };
        for number in 0..count {
            let name = format!("framework-{number:02}");
            let (child, input) = frameworks.spawn(number, &name, 0);
            frameworks.all.push(Framework {
                name,
                id: None,
                executors: BTreeSet::new(),
                child,
                input,
                life: 0,
                at_rest: false,
                due: None,
                ended: false,
            });
            frameworks.begin(number);
        }
        frameworks
    }

    /// One in four is not aware of partitions.
    fn spawn(&self, number: usize, name: &str, life: u32) -> (Child, ChildStdin) {
        let seed = (self.seed.wrapping_mul(1000) + number as u64).wrapping_mul(1000);
        let aware = if number % 4 == 3 { "unaware" } else { "aware" };
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["scheduler", &self.master, name])
            .args([&(seed + u64::from(life)).to_string(), aware])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let sender = self.sender.clone();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send((number, life, Some(line)));
            }
            let _ = sender.send((number, life, None));
        });
        (child, input)
    }

    /// Tells a scheduler something; one that is being killed does not hear it.
    fn tell(&mut self, number: usize, line: &str) {
        let _ = writeln!(self.all[number].input, "{line}");
    }

    /// Tells all of them something.
    pub fn tell_all(&mut self, line: &str) {
        (0..self.all.len()).for_each(|number| self.tell(number, line));
    }

    /// Kills one, which is started anew after a while, unless that is so already.
    pub fn kill(&mut self, number: usize, away: Duration) {
        let framework = &mut self.all[number];
        if framework.due.is_none() && framework.id.is_some() {
            framework.due = Some(Instant::now() + away);
            framework.child.kill().expect("our child");
            self.kills += 1;
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether every one is there.
    pub fn are_all_there(&self) -> bool {
        self.all
            .iter()
            .all(|framework| framework.due.is_none() && framework.id.is_some())
    }

    /// Whether every one has ended all its tasks.
    pub fn are_at_rest(&self) -> bool {
        let is_at_rest = |it: &Framework| it.at_rest && self.ledger.open(&it.name).next().is_none();
        self.all.iter().all(is_at_rest)
    }

    /// What tasks each has open.
    pub fn restless(&self) -> Vec<String> {
        self.all
            .iter()
            .map(|framework| {
                let open: Vec<_> = self.ledger.open(&framework.name).collect();
                format!("{}: {open:?}", framework.name)
            })
            .collect()
    }

    /// Reads what they say until then, and starts anew those whose time has come.
    ///
    /// # Panics
    ///
    /// When one ends by itself.
    pub fn listen(&mut self, until: Instant) {
        if self.hurry.is_some_and(|end| end <= Instant::now()) {
            self.hurry = None;
            self.tell_all("calm");
        }
        loop {
            for number in 0..self.all.len() {
                let framework = &self.all[number];
                if framework.ended && framework.due.is_some_and(|due| due <= Instant::now()) {
                    self.restart(number);
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            let Ok((number, life, line)) =
                self.said.recv_timeout(left.min(Duration::from_millis(50)))
            else {
                if Instant::now() >= until {
                    return;
                }
                continue;
            };
            let framework = &mut self.all[number];
            assert_eq!(framework.life, life, "a dead one speaks");
            match line {
                Some(line) => self.heard(number, &line),
                None => {
                    assert!(framework.due.is_some(), "{} has ended", framework.name);
                    framework.child.wait().expect("our child");
                    framework.ended = true;
                }
            }
        }
    }

    fn heard(&mut self, number: usize, line: &str) {
        let framework = &mut self.all[number];
        let words: Vec<&str> = line.splitn(5, ' ').collect();
        match words[..] {
            ["id", id] => {
                let before = framework.id.replace(id.to_owned());
                assert!(before.is_none_or(|before| before == id), "{line}");
            }
            ["launch", ..] => {
                let words: Vec<&str> = line.splitn(4, ' ').collect();
                let [_, task, agent, kind] = words[..] else {
                    panic!("{} said {line}", framework.name);
                };
                self.ledger.launch(task, agent, kind);
            }
            ["update", task, state, how, message] => {
                self.ledger
                    .update(task, state, how == "acknowledged", message);
            }
            ["executor", agent, role] => {
                framework.executors.insert(format!("{agent} {role}"));
            }
            ["at", "rest"] => framework.at_rest = true,
            _ => panic!("{} said {line}", framework.name),
        }
    }

    fn restart(&mut self, number: usize) {
        let (name, life) = (self.all[number].name.clone(), self.all[number].life + 1);
        let (child, input) = self.spawn(number, &name, life);
        let framework = &mut self.all[number];
        (framework.child, framework.input, framework.life) = (child, input, life);
        (framework.due, framework.ended) = (None, false);
        let mut lines: Vec<String> = framework.id.iter().map(|id| format!("id {id}")).collect();
        lines.extend(
            framework
                .executors
                .iter()
                .map(|executor| format!("executor {executor}")),
        );
        let open = self.ledger.open(&name);
        lines.extend(open.map(|(task, agent, kind)| format!("task {task} {agent} {kind}")));
        lines.iter().for_each(|line| self.tell(number, line));
        self.begin(number);
    }

    /// Lets one begin that knows all that it has to.
    fn begin(&mut self, number: usize) {
        self.tell(number, "go");
        if self.hurry.is_some() {
            self.tell(number, "hurry");
        }
    }

    /// Has all of them torn down, and waits for their ends.
    ///
    /// # Panics
    ///
    /// When one does not end well.
    pub fn leave(&mut self) {
        self.tell_all("leave");
        for framework in &mut self.all {
            let status = framework.child.wait().expect("our child");
            assert!(status.success(), "{}: {status}", framework.name);
        }
    }
}

impl Drop for Frameworks {
    fn drop(&mut self) {
        for framework in &mut self.all {
            let _ = framework.child.kill();
            let _ = framework.child.wait();
        }
    }
}
