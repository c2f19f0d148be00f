//! A cluster made of the allocator's core alone: agents that only have resources, frameworks that
//! take tasks of one size, or do what the scenario says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tepui_allocator::core::{
    AgentCapabilities, AgentSpec, Allocator, Decision, FrameworkCapabilities, FrameworkSpec, Grant,
    Observer, Options, Order, Recovery, Use,
};
use tepui_allocator::{parse_min_allocatable_resources, parse_weights};
use tepui_protocol::attributes;
use tepui_protocol::mesos::v1::Resource;
use tepui_protocol::resources::{Resources, parse_text};
use tepui_runtime::Time;

use crate::wants;

type Outcome = Result<(), String>;

/// What a framework does with offers, where the scenario does not do it itself.
struct Taker {
    task: Resources,
    tasks_per_offer: usize,
    refuse: Duration,
    tasks: usize,
}

pub(crate) struct Cluster {
    options: Options,
    order: Order,
    core: Option<Allocator>,
    now: Time,
    agents: BTreeMap<String, AgentSpec>,
    frameworks: BTreeMap<String, FrameworkSpec>,
    takers: BTreeMap<String, Taker>,
    reasons: bool,
}

/// Notes reasons, if they are wanted.
struct Notes(Option<Vec<String>>);

impl Observer for Notes {
    fn wants_reasons(&self) -> bool {
        self.0.is_some()
    }

    fn decided(&mut self, decision: Decision<'_>) {
        if let (
            Some(notes),
            Decision::Withheld {
                framework,
                role,
                agent,
                reason,
            },
        ) = (&mut self.0, decision)
        {
            notes.push(format!(
                "      not {framework} in {role} <- {agent}: {reason}"
            ));
        }
    }
}

fn resources(text: &str) -> Result<Resources, String> {
    if text.starts_with('[') {
        let all: Vec<Resource> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        return Resources::from_proto(&all).map_err(|error| error.to_string());
    }
    parse_text(text, "*").map_err(|error| error.to_string())
}

fn duration(text: &str) -> Result<Duration, String> {
    Duration::try_from_secs_f64(seconds(text)?).map_err(|error| format!("'{text}': {error}"))
}

fn seconds(text: &str) -> Result<f64, String> {
    let split = text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len());
    let number: f64 = text[..split]
        .parse()
        .map_err(|_| format!("'{text}' is no duration"))?;
    let unit = match &text[split..] {
        "ms" => 0.001,
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(format!("'{text}' has no unit")),
    };
    Ok(number * unit)
}

fn list(text: &str) -> BTreeSet<String> {
    text.split(',')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `key=value`, but not what is JSON or a set.
fn pair(part: &str) -> Option<(&str, &str)> {
    part.split_once('=')
        .filter(|(key, _)| !key.contains(['[', '{']))
}

/// `word key=value ...` as words and pairs.
struct Words<'a> {
    words: Vec<&'a str>,
    pairs: BTreeMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    fn of(line: &'a str) -> Words<'a> {
        let parts: Vec<&str> = line.split_whitespace().collect();
        Words {
            words: parts
                .iter()
                .filter(|part| pair(part).is_none())
                .copied()
                .collect(),
            pairs: parts.iter().copied().filter_map(pair).collect(),
        }
    }

    fn word(&self, at: usize, what: &str) -> Result<&'a str, String> {
        self.words
            .get(at)
            .copied()
            .ok_or_else(|| format!("expected {what}"))
    }
}

impl Cluster {
    pub(crate) fn new() -> Cluster {
        Cluster {
            options: Options::default(),
            order: Order::ById,
            core: None,
            now: Time::EPOCH,
            agents: BTreeMap::new(),
            frameworks: BTreeMap::new(),
            takers: BTreeMap::new(),
            reasons: false,
        }
    }

    /// Carries out one line.
    pub(crate) fn command(&mut self, line: &str, output: &mut Vec<String>) -> Outcome {
        let words = Words::of(line);
        let verb = words.word(0, "a command")?;
        match verb {
            "interval" | "gather" | "minimum" | "exclude" | "region" | "gpus" | "order" => {
                self.option(verb, words.word(1, "a value")?)
            }
            "weight" => self.weight(&words),
            "reasons" => {
                self.reasons = words.word(1, "on or off")? == "on";
                Ok(())
            }
            "agent" => self.agent(words.word(1, "a name")?, &words),
            "agents" => self.agents(&words),
            "total" => self.total(&words),
            "attributes" => self.attributes(&words),
            "framework" => self.framework(&words),
            "update" => self.update(&words),
            "remove" | "activate" | "deactivate" => self.switch(verb, words.word(1, "a name")?),
            "domain" => self.domain(&words),
            "decline" | "finish" | "pause" => self.give_back(&words, verb),
            "suppress" | "revive" => self.silence(&words, verb == "suppress"),
            "run" => self.advance(self.options.gather, output),
            "advance" => self.advance(duration(words.word(1, "a duration")?)?, output),
            "shares" | "held" | "free" | "tasks" | "why" => self.show(&words, output),
            _ => Err(format!("'{verb}' is no command")),
        }
    }

    fn option(&mut self, name: &str, value: &str) -> Outcome {
        if name == "order" {
            self.order = match value.strip_prefix("seed:") {
                Some(seed) => Order::Shuffled {
                    seed: seed.parse().map_err(|_| "expected a number")?,
                },
                None => Order::ById,
            };
            return Ok(());
        }
        if self.core.is_some() {
            return Err("options come before agents and frameworks".to_owned());
        }
        match name {
            "interval" => self.options.allocation_interval = duration(value)?,
            "gather" => self.options.gather = duration(value)?,
            "minimum" => {
                let value = if value == "none" { "" } else { value };
                self.options.min_allocatable_resources =
                    parse_min_allocatable_resources(value).map_err(|error| error.to_string())?;
            }
            "exclude" => self.options.fair_sharing_excluded_resource_names = list(value),
            "region" => self.options.region = Some(value.to_owned()),
            _ => self.options.filter_gpu_resources = value != "for-all",
        }
        Ok(())
    }

    fn core(&mut self) -> &mut Allocator {
        let (options, now) = (&self.options, self.now);
        self.core
            .get_or_insert_with(|| Allocator::new(options.clone(), now))
    }

    fn weight(&mut self, words: &Words<'_>) -> Outcome {
        let weights = parse_weights(words.line_of_pairs().as_str()).map_err(|e| e.to_string())?;
        let weights = weights
            .iter()
            .map(|(role, weight)| (role.as_str(), *weight));
        self.core()
            .update_weights(weights)
            .map_err(|error| error.to_string())
    }

    /// `agents 12 n RESOURCES`: n01, n02, ... n12.
    fn agents(&mut self, words: &Words<'_>) -> Outcome {
        let text = words.word(1, "a number")?;
        let number: usize = text.parse().map_err(|_| "expected a number of agents")?;
        let prefix = words.word(2, "a name")?;
        let same = Words {
            words: words.words[1..].to_vec(),
            pairs: words.pairs.clone(),
        };
        for at in 1..=number {
            let name = format!("{prefix}{at:0width$}", width = text.len());
            self.agent(&name, &same)?;
        }
        Ok(())
    }

    fn agent(&mut self, name: &str, words: &Words<'_>) -> Outcome {
        let without = list(words.pairs.get("without").copied().unwrap_or_default());
        let spec = AgentSpec {
            id: name.to_owned(),
            hostname: name.to_owned(),
            region: words.pairs.get("region").map(|region| (*region).to_owned()),
            zone: words.pairs.get("zone").map(|zone| (*zone).to_owned()),
            attributes: attributes::parse(words.pairs.get("attributes").unwrap_or(&""))
                .map_err(|error| error.to_string())?,
            capabilities: AgentCapabilities {
                multi_role: !without.contains("MULTI_ROLE"),
                hierarchical_role: !without.contains("HIERARCHICAL_ROLE"),
            },
            total: resources(words.word(2, "resources")?)?,
        };
        self.agents.insert(spec.id.clone(), spec.clone());
        let now = self.now;
        self.core()
            .add_agent(now, spec, &[])
            .map_err(|error| error.to_string())
    }

    fn attributes(&mut self, words: &Words<'_>) -> Outcome {
        let text = words.word(2, "attributes").unwrap_or_default();
        let attributes = attributes::parse(text).map_err(|error| error.to_string())?;
        let agent = self
            .agents
            .get_mut(words.word(1, "an agent")?)
            .ok_or("no such agent")?;
        agent.attributes = attributes;
        let (spec, now) = (agent.clone(), self.now);
        self.core()
            .update_agent(now, spec)
            .map_err(|error| error.to_string())
    }

    fn domain(&mut self, words: &Words<'_>) -> Outcome {
        let named = |what: &str| words.pairs.get(what).map(|name| (*name).to_owned());
        let agent = self
            .agents
            .get_mut(words.word(1, "an agent")?)
            .ok_or("no such agent")?;
        (agent.region, agent.zone) = (named("region"), named("zone"));
        let (spec, now) = (agent.clone(), self.now);
        self.core()
            .update_agent(now, spec)
            .map_err(|error| error.to_string())
    }

    fn total(&mut self, words: &Words<'_>) -> Outcome {
        let total = resources(words.word(2, "resources")?)?;
        let agent = self
            .agents
            .get_mut(words.word(1, "an agent")?)
            .ok_or("no such agent")?;
        agent.total = total;
        let (spec, now) = (agent.clone(), self.now);
        self.core()
            .update_agent(now, spec)
            .map_err(|error| error.to_string())
    }

    fn framework(&mut self, words: &Words<'_>) -> Outcome {
        let id = words.word(1, "a name")?.to_owned();
        let mut spec = FrameworkSpec {
            id: id.clone(),
            ..FrameworkSpec::default()
        };
        spec.roles = list(words.pairs.get("role").ok_or("expected role=...")?);
        settle(&mut spec, words)?;
        if let Some(task) = words.pairs.get("task") {
            let number = words.pairs.get("per-offer").copied().unwrap_or("1");
            let taker = Taker {
                task: resources(task)?,
                tasks_per_offer: number.parse().map_err(|_| "expected a number of tasks")?,
                refuse: words
                    .pairs
                    .get("refuse")
                    .map_or(Ok(Duration::ZERO), |d| duration(d))?,
                tasks: 0,
            };
            self.takers.insert(id.clone(), taker);
        }
        self.frameworks.insert(id, spec.clone());
        let active = !words.words.contains(&"inactive");
        let now = self.now;
        self.core()
            .add_framework(now, &spec, active, &[])
            .map_err(|error| error.to_string())
    }

    fn update(&mut self, words: &Words<'_>) -> Outcome {
        let spec = self
            .frameworks
            .get_mut(words.word(1, "a framework")?)
            .ok_or("no such one")?;
        if let Some(roles) = words.pairs.get("role") {
            spec.roles = list(roles);
        }
        settle(spec, words)?;
        let (spec, now) = (spec.clone(), self.now);
        self.core()
            .update_framework(now, &spec)
            .map_err(|error| error.to_string())
    }

    fn switch(&mut self, verb: &str, name: &str) -> Outcome {
        let (framework, now) = (self.frameworks.contains_key(name), self.now);
        let core = self.core();
        match (verb, framework) {
            ("remove", true) => core.remove_framework(now, name),
            ("remove", false) => core.remove_agent(name),
            ("activate", true) => core.activate_framework(now, name),
            ("activate", false) => core.activate_agent(now, name),
            (_, true) => core.deactivate_framework(name),
            (_, false) => core.deactivate_agent(name),
        }
        .map_err(|error| error.to_string())
    }

    /// The role that is meant: the one named, or the framework's only one.
    fn role(&self, framework: &str, words: &Words<'_>) -> Result<String, String> {
        if let Some(role) = words.pairs.get("role") {
            return Ok((*role).to_owned());
        }
        let spec = self.frameworks.get(framework).ok_or("no such framework")?;
        match spec.roles.iter().collect::<Vec<_>>().as_slice() {
            [role] => Ok((*role).clone()),
            _ => Err("expected role=...".to_owned()),
        }
    }

    fn give_back(&mut self, words: &Words<'_>, verb: &str) -> Outcome {
        let framework = words.word(1, "a framework")?.to_owned();
        let agent = words.word(2, "an agent")?.to_owned();
        let role = self.role(&framework, words)?;
        let held = self
            .core()
            .held(&agent)
            .map_err(|error| error.to_string())?;
        let resources = match words.words.get(3) {
            Some(text) => resources(text)?.allocate(&role),
            None => held
                .get(framework.as_str())
                .map(|held| held.allocated_to(&role))
                .filter(|held| !held.is_empty())
                .ok_or("it holds nothing there")?,
        };
        let recovery = match words.pairs.get("for") {
            Some(time) if verb == "pause" => Recovery::Paused(duration(time)?),
            Some(time) => Recovery::refused_for(seconds(time)?),
            None => match verb {
                "decline" => Recovery::refused_for(f64::NAN),
                "finish" => Recovery::Freed,
                _ => return Err("expected for=...".to_owned()),
            },
        };
        let (freed, now) = (
            Use {
                framework,
                agent,
                resources,
            },
            self.now,
        );
        self.core()
            .recover(now, &freed, recovery)
            .map_err(|error| error.to_string())
    }

    fn silence(&mut self, words: &Words<'_>, suppress: bool) -> Outcome {
        let framework = words.word(1, "a framework")?;
        let roles: Vec<String> = words.words[2..]
            .iter()
            .map(|role| (*role).to_owned())
            .collect();
        let now = self.now;
        let core = self.core();
        let done = match suppress {
            true => core.suppress(framework, &roles),
            false => core.revive(now, framework, &roles),
        };
        done.map_err(|error| error.to_string())
    }

    /// Lets time pass, and carries out each run that is due until then.
    fn advance(&mut self, by: Duration, output: &mut Vec<String>) -> Outcome {
        let until = self.now + by;
        for _ in 0..10_000 {
            let due = self.core().due();
            if due > until {
                self.now = until;
                return Ok(());
            }
            self.now = self.now.max(due);
            self.run(output)?;
        }
        Err("10000 runs, and no end".to_owned())
    }

    fn run(&mut self, output: &mut Vec<String>) -> Outcome {
        let (now, order) = (self.now, self.order);
        let mut notes = Notes(self.reasons.then(Vec::new));
        let run = self.core().run(now, order, &mut notes);
        let time = format!(
            "{:.3} {}",
            now.as_secs_f64(),
            if run.batch { "batch:" } else { "event:" }
        );
        for grant in &run.grants {
            let taken = self.take(grant)?;
            let resources = print(&grant.unallocated());
            output.push(format!(
                "{time} {} in {} <- {} {resources}{taken}",
                grant.framework, grant.role, grant.agent
            ));
        }
        output.extend(notes.0.into_iter().flatten());
        Ok(())
    }

    /// What a framework with a task size does with an offer.
    fn take(&mut self, grant: &Grant) -> Result<String, String> {
        let Some(taker) = self.takers.get_mut(&*grant.framework) else {
            return Ok(String::new());
        };
        let mut left = grant.unallocated();
        let mut tasks = 0;
        while tasks < taker.tasks_per_offer && left.contains(&taker.task) {
            left -= &taker.task;
            tasks += 1;
        }
        taker.tasks += tasks;
        // As the master has it: who used some of an offer and gives the rest back for no time has
        // refused nothing.
        let recovery = if tasks > 0 && taker.refuse.is_zero() {
            Recovery::Freed
        } else {
            Recovery::refused_for(taker.refuse.as_secs_f64())
        };
        if !left.is_empty() {
            let freed = Use {
                framework: grant.framework.to_string(),
                agent: grant.agent.to_string(),
                resources: left.allocate(&grant.role),
            };
            let now = self.now;
            self.core()
                .recover(now, &freed, recovery)
                .map_err(|error| error.to_string())?;
        }
        Ok(match tasks {
            0 => ", declines".to_owned(),
            1 => ", takes 1 task".to_owned(),
            _ => format!(", takes {tasks} tasks"),
        })
    }

    fn show(&mut self, words: &Words<'_>, output: &mut Vec<String>) -> Outcome {
        let core = self.core.as_ref().ok_or("nothing is there yet")?;
        match words.words[0] {
            "shares" => {
                let mut shares: Vec<_> = core.dominant_shares().collect();
                shares.sort_by(|a, b| a.0.cmp(b.0));
                output.extend(
                    shares
                        .iter()
                        .map(|(role, share)| format!("{role} {share:.3}")),
                );
            }
            "tasks" => {
                let line = |(id, taker): (&String, &Taker)| format!("{id} {}", taker.tasks);
                output.extend(self.takers.iter().map(line));
            }
            "free" => {
                let agent = words.word(1, "an agent")?;
                output.push(print(&core.free(agent).map_err(|error| error.to_string())?));
            }
            "held" => {
                for agent in self.agents.keys() {
                    // One that was removed holds nothing.
                    for (framework, held) in core.held(agent).unwrap_or_default() {
                        for (role, held) in held.allocations() {
                            let held = print(&held.unallocate());
                            output.push(format!("{agent}: {framework} in {role} {held}"));
                        }
                    }
                }
            }
            _ => {
                let (framework, role) = (words.word(1, "a framework")?, words.word(2, "a role")?);
                let reason = core.explain(framework, role, words.word(3, "an agent")?);
                output.push(reason.map_err(|error| error.to_string())?.to_string());
            }
        }
        Ok(())
    }
}

impl Words<'_> {
    fn line_of_pairs(&self) -> String {
        let pairs = self
            .pairs
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        pairs.collect::<Vec<_>>().join(",")
    }
}

/// What `framework` and `update` have in common.
fn settle(spec: &mut FrameworkSpec, words: &Words<'_>) -> Outcome {
    if let Some(names) = words.pairs.get("capabilities") {
        let names = list(names);
        let has = |name: &str| names.contains(name);
        spec.capabilities = FrameworkCapabilities {
            revocable_resources: has("REVOCABLE_RESOURCES"),
            shared_resources: has("SHARED_RESOURCES"),
            gpu_resources: has("GPU_RESOURCES"),
            multi_role: has("MULTI_ROLE"),
            reservation_refinement: has("RESERVATION_REFINEMENT"),
            region_aware: has("REGION_AWARE"),
        };
    }
    if let Some(roles) = words.pairs.get("suppressed") {
        spec.suppressed_roles = list(roles);
    }
    if let Some(least) = words.pairs.get("minimum") {
        let text = if *least == "none" { "" } else { *least };
        let sets = parse_min_allocatable_resources(text).map_err(|error| error.to_string())?;
        let each = spec.roles.iter().map(|role| (role.clone(), sets.clone()));
        spec.min_allocatable_resources = each.collect();
    }
    if let Some(text) = words.pairs.get("wants") {
        spec.constraints = wants::read(text, &spec.roles)?;
    }
    Ok(())
}

fn print(resources: &Resources) -> String {
    if resources.is_empty() {
        return "nothing".to_owned();
    }
    resources
        .to_text()
        .unwrap_or_else(|_| resources.to_string())
}
