//! Two namespaces with a cable between them.
//!
//! The one is called near, the other far. What is done to the cable is done at the far end: what comes in there is dropped,
//! refused or slowed down.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

/// The address of the far end of the cable.
pub const FAR_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// See the header; taken down when it is dropped.
pub struct Cable {
    near: String,
    far: String,
    home: File,
}

fn call(program: &str, arguments: &str) -> Result<(), String> {
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    let output = Command::new(program)
        .args(&arguments)
        .output()
        .map_err(|error| format!("needs {program} ({error}): apt-get install iproute2 nftables"))?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{program} {}`: {}", arguments.join(" "), why.trim()))
}

/// Waits until the far end answers that nobody is at a port: a new cable takes a moment.
fn answered() -> Result<(), String> {
    for _ in 0..50 {
        let limit = Duration::from_millis(100);
        let outcome = TcpStream::connect_timeout(&SocketAddr::from((FAR_ADDRESS, 9)), limit);
        if outcome.is_err_and(|why| why.kind() == std::io::ErrorKind::ConnectionRefused) {
            return Ok(());
        }
    }
    Err("the far end does not answer".to_owned())
}

impl Cable {
    /// Makes both namespaces and connects them.
    pub fn new() -> Result<Cable, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("needs root, to make network namespaces".to_owned());
        }
        let home =
            File::open("/proc/thread-self/ns/net").map_err(|error| format!("own namespace: {error}"))?;
        let process = std::process::id();
        let cable = Cable { near: format!("weft-near-{process}"), far: format!("weft-far-{process}"), home };
        let Cable { near, far, .. } = &cable;
        for name in [near, far] {
            call("ip", &format!("netns add {name}"))?;
            call("ip", &format!("-n {name} link set lo up"))?;
        }
        call("ip", &format!("-n {near} link add v type veth peer name v netns {far}"))?;
        for (name, address) in [(near, Ipv4Addr::new(10, 77, 0, 1)), (far, FAR_ADDRESS)] {
            call("ip", &format!("-n {name} addr add {address}/24 dev v"))?;
            // Packets as they would go over a wire: else a few large ones are all of a transfer.
            call("ip", &format!("-n {name} link set v gso_max_segs 1 up"))?;
        }
        call("nft", "--version")?;
        call("tc", "-V")?;
        cable.near(answered)??;
        Ok(cable)
    }

    /// Does something with the calling thread in a namespace.
    fn within<T>(&self, name: &str, act: impl FnOnce() -> T) -> Result<T, String> {
        let failed = |what: String| move |error| format!("{what}: {error}");
        let there = File::open(format!("/run/netns/{name}"))
            .map_err(|error| format!("opening the namespace {name}: {error}"))?;
        enter(&there).map_err(failed(format!("entering the namespace {name}")))?;
        let outcome = act();
        enter(&self.home).map_err(failed("coming back".to_owned()))?;
        Ok(outcome)
    }

    /// What is made here is at the near end.
    pub fn near<T>(&self, act: impl FnOnce() -> T) -> Result<T, String> {
        self.within(&self.near, act)
    }

    /// What is made here is at the far end.
    pub fn far<T>(&self, act: impl FnOnce() -> T) -> Result<T, String> {
        self.within(&self.far, act)
    }

    /// From now on this happens to what comes in at the far end: a statement of nftables, such as `drop`.
    pub fn rule(&self, statement: &str) -> Result<(), String> {
        let (far, table) = (&self.far, "inet weft");
        call("ip", &format!("netns exec {far} nft add table {table}"))?;
        let chain = "{ type filter hook input priority 0 ; }";
        call("ip", &format!("netns exec {far} nft add chain {table} incoming {chain}"))?;
        call("ip", &format!("netns exec {far} nft add rule {table} incoming {statement}"))
    }

    /// So many bits in a second are sent by the near end.
    pub fn limit(&self, rate: &str) -> Result<(), String> {
        let near = &self.near;
        call(
            "ip",
            &format!(
                "netns exec {near} tc qdisc replace dev v root tbf rate {rate} burst 16kb latency 200ms"
            ),
        )
    }

    /// Cut, or mended.
    pub fn cut(&self, is_cut: bool) -> Result<(), String> {
        call("ip", &format!("-n {} link set v {}", self.far, if is_cut { "down" } else { "up" }))
    }

    /// As it was in the beginning.
    pub fn mend(&self) -> Result<(), String> {
        let (near, far) = (&self.near, &self.far);
        // What is not there need not be taken away.
        let _ = call("ip", &format!("netns exec {far} nft delete table inet weft"));
        let _ = call("ip", &format!("netns exec {near} tc qdisc del dev v root"));
        self.cut(false)
    }
}

fn enter(namespace: &File) -> rustix::io::Result<()> {
    use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
    use std::os::fd::AsFd;
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
}

impl Drop for Cable {
    fn drop(&mut self) {
        for name in [&self.near, &self.far] {
            // One that was not made is not there.
            let _ = call("ip", &format!("netns del {name}"));
        }
    }
}
