//! Nodes that talk over TCP and over the simulated network: the wire as strangers see it, and what
//! processes notice of it.

#[cfg(test)]
mod frames;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod http;
#[cfg(test)]
mod links;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod raw;
#[cfg(test)]
mod replies;
#[cfg(test)]
mod senders;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod simulated_http;
#[cfg(test)]
mod support;
