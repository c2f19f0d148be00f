//! What is said to keep an agent from a framework: whether it is so, by what the test itself has done
//! to the cluster, and how that one thing is ended.
//!
//! Not drawn: hosts that no whitelist names, agents of old that know neither roles nor sub-roles, and
//! agents that pause because tasks fail on them.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tepui_protocol::mesos::v1::framework_info::capability;
use tepui_protocol::mesos::v1::master;

use crate::cluster::{ABROAD, Cluster, RACK, RESERVED, at_least};

impl Cluster {
    /// Ends what is said to keep an agent from a framework, and nothing else. From now on the
    /// framework keeps what it is offered of the agent.
    pub fn take_away(&mut self, framework: usize, agent: &str, said: &Value) {
        self.is_so(framework, agent, said);
        let role = said["role"].as_str().unwrap().to_owned();
        let name = agent.to_owned();
        self.call(framework, move |taker, _| taker.want(&name));
        let known = &mut self.frameworks[framework];
        match said["reason"].as_str().unwrap() {
            "waiting" | "just_refused" => {}
            // Not by REVIVE, which would end refusals, too.
            "suppressed" => {
                known.suppressed.remove(&role);
                self.update(framework);
            }
            "refused" => self.call(framework, move |taker, driver| taker.revive(driver, &role)),
            "held" => {
                for holder in said["details"]["by"].as_array().unwrap() {
                    self.end(framework, agent, holder["framework"].as_str().unwrap());
                }
            }
            "gpu_agent" => {
                known.learn(capability::Type::GpuResources);
                self.update(framework);
            }
            "other_region" => {
                known.learn(capability::Type::RegionAware);
                self.update(framework);
            }
            "incapable" => {
                known.learn(capability::Type::RevocableResources);
                self.update(framework);
            }
            "reserved_for_others" => {
                // In that role it may have kept itself out, which is as far from an offer.
                known.suppressed.remove(RESERVED);
                if let Some(constraints) = &mut known.constraints {
                    constraints.role_constraints.remove(RESERVED);
                }
                if !known.info.roles.iter().any(|role| role == RESERVED) {
                    known.info.roles.push(RESERVED.to_owned());
                }
                self.update(framework);
            }
            "below_minimum" => {
                if said["details"]["free"]["cpus"].as_f64() >= Some(0.001) {
                    known.info.offer_filters.insert(role, at_least(0.001));
                    self.update(framework);
                } else {
                    // Nothing else would do: others left no cpus at all.
                    for holder in self.holders(agent) {
                        self.end(framework, agent, &holder);
                    }
                }
            }
            "constrained" => {
                let constraints = known.constraints.as_mut().unwrap();
                constraints.role_constraints.remove(&role);
                self.update(framework);
            }
            "agent_inactive" => {
                self.operate(agent, master::call::Type::ReactivateAgent);
                self.deactivated.remove(agent);
            }
            "framework_inactive" => self.come_back(framework, agent),
            other => panic!("nobody made a cluster with {other}: {said}"),
        }
        self.run_for(5);
    }

    /// Holds that the cause is there, whatever else may be behind it.
    fn is_so(&mut self, framework: usize, agent: &str, said: &Value) {
        let (role, details) = (said["role"].as_str().unwrap().to_owned(), &said["details"]);
        let key = (role.clone(), agent.to_owned());
        let refused = self.ask(framework, move |taker| taker.refusals.contains(&key));
        let holders = self.holders(agent);
        let (known, host) = (&self.frameworks[framework], self.host(agent));
        let so = match said["reason"].as_str().unwrap() {
            "suppressed" => known.suppressed.contains(&role),
            "refused" => refused == Some(true) && !known.suppressed.contains(&role),
            "held" => {
                let by = details["by"].as_array().unwrap().iter();
                let by = by.map(|holder| holder["framework"].as_str().unwrap().to_owned());
                let by: BTreeSet<String> = by.collect();
                !by.is_empty() && by == holders
            }
            "gpu_agent" => {
                host.resources.contains("gpus") && !known.can(capability::Type::GpuResources)
            }
            "other_region" => {
                let aware = known.can(capability::Type::RegionAware);
                host.is_abroad && details["region"] == ABROAD && !aware
            }
            "incapable" => {
                let lacks = details["lacks"] == json!(["REVOCABLE_RESOURCES"]);
                host.is_revocable && lacks && !known.can(capability::Type::RevocableResources)
            }
            "reserved_for_others" => {
                let reserved = format!("({RESERVED})");
                host.resources.contains(&reserved) && role != RESERVED
            }
            "below_minimum" => {
                let least = match known.info.offer_filters.get(&role) {
                    Some(filters) => {
                        let least = filters.min_allocatable_resources.as_ref().unwrap();
                        json!([{"cpus": least.quantities[0].quantities["cpus"].value}])
                    }
                    None => json!([{"cpus": 0.01}, {"mem": 32.0}]),
                };
                let free = |name: &str| details["free"][name].as_f64().unwrap_or_default();
                let lacks = |least: &Value| {
                    let mut all = least.as_object().unwrap().iter();
                    all.any(|(name, amount)| free(name) < amount.as_f64().unwrap())
                };
                details["minimum"] == least && least.as_array().unwrap().iter().all(lacks)
            }
            "constrained" => {
                let constraints = known.constraints.as_ref();
                let has = constraints.is_some_and(|it| it.role_constraints.contains_key(&role));
                has && host.rack != RACK
            }
            "agent_inactive" => self.deactivated.contains(agent),
            "framework_inactive" => known.is_away,
            "waiting" | "just_refused" => true,
            _ => false,
        };
        assert!(so, "{agent} is not withheld for this: {said}");
    }

    /// Those who have something of an agent, offered or in use, as the master has it.
    fn holders(&self, agent: &str) -> BTreeSet<String> {
        let snapshot = self.master.snapshot();
        let agent = snapshot.agent(agent).unwrap();
        let offers = agent.offers.iter();
        let offers = offers.map(|id| snapshot.offers.get(id).unwrap().framework_id.clone());
        let used = agent.used.iter().filter(|(_, used)| !used.is_empty());
        used.map(|(id, _)| id.clone()).chain(offers).collect()
    }

    /// What a framework has of an agent ends, be it this one or another.
    fn end(&mut self, framework: usize, agent: &str, holder: &str) {
        let mut all = 0..self.frameworks();
        let holder = all.find(|other| self.id(*other) == holder).unwrap();
        if holder == framework {
            let name = agent.to_owned();
            self.call(framework, move |taker, driver| {
                taker.end_tasks(driver, &name)
            });
        } else {
            self.release(holder, agent);
        }
    }
}
