// The documents that `sluice init` writes, with the comments that a person needs to edit them. Every one of them passes the
// check that its reader makes; a test holds that.

export interface ConfigValues {
  readonly node: string
  readonly audience: string
  readonly channel: string
  readonly backends: readonly string[]
  readonly interfaces: readonly string[]
}

const list = (items: readonly string[]): string => `[${items.map((item) => JSON.stringify(item)).join(', ')}]`

export const configTemplate = (
  values: ConfigValues,
): string => `# Configuration of the Sluice agent on this node. Relative paths are relative to this file.

# Who this node is: the reporter of every event. A SPIFFE URI.
node: ${values.node}

# Whom releases and inventories must name to be accepted here, and the channel they must be on.
audience: ${values.audience}
channel: ${values.channel}

# The keys that may sign, and how many of them must. Whoever can change this file decides what is accepted.
trust_root: root.json

# What must survive a restart: high-water mark, live plan, quarantines. Losing it lets old bundles in again.
state_directory: state

# The trail: one OCSF event a line.
events_file: events.ndjson

# Backends by preference; \`sluice doctor\` says which of them this machine can use. \`memory\` fences nothing: it is for trying
# things out.
backends: ${list(values.backends)}

# Interfaces that may only ever carry fenced traffic: names, or patterns such as "ws*". One that appears without being in the
# inventory is dropped.
attach_interfaces: ${list(values.interfaces)}

# The resolvers that may be asked for the workspaces' names, by preference: udp://, tcp:// or dot://ADDRESS#NAME.
# Without this section a name in a policy needs addresses under dns.pins.
# dns:
#   upstreams: ["dot://192.0.2.53#resolver.example"]

# For the backend tc-flower: the uplink representor of a switch in switchdev mode, whose hardware takes the filters. Or software:
# true, for filters of the kernel without hardware.
# tc_flower: {uplink: p0}

# For the backend doca-argus: the folder into which DOCA Argus writes its records (deploy/argus/README.md).
# doca_argus: {records: /var/log/doca_argus_activity_report}

# For the backend doca-vault: the PCI address of the card whose virtio-fs functions serve volumes (\`function\` in the inventory).
# doca_vault: {card: "0000:03:00.0"}

# For \`sluice agent\`, which stays: where releases come from, and the signed list of workspaces, read again at every pass.
# source:
#   from: https://policy.example/published
#   inventory: inventory.yaml
#   interval_seconds: 30

# Deny a workspace until it is attached (\`sluice attach\`), whatever its policy grants.
# attach_required: true

# Health and metrics of the agent, on loopback: /livez, /readyz, /metrics.
# http: 127.0.0.1:9465

# Where else events go, from the running agent: in order, at least once, each sink with a cursor of its own. What waits for a
# sink waits in the journal, which keeps segments as retention says (octets and seconds). Kinds: file, http,
# syslog (over TLS), nats (JetStream).
# retention: {keep_bytes: 1073741824, keep_seconds: 7776000}
# sinks:
#   - {name: archive, kind: file, path: /var/log/sluice/events.ndjson, keep_files: 30}
#   - {name: siem, kind: http, url: "https://siem.example:8088/services/collector", format: splunk-hec, token_file: siem.token}
# heartbeat_seconds: 60

# Security events of an identity provider (OpenID Shared Signals) that put workspaces into quarantine; whose each workspace is stands
# in the inventory (subjects). A stream that is silent denies everything.
# revocation:
#   listen: 0.0.0.0:7444
#   certificate: tls/server.pem
#   key: tls/server.key
#   streams:
#     - name: idp
#       kind: push
#       issuer: https://idp.example.com/
#       audience: ["https://sluice.example/ssf"]
#       keys: idp.jwks.json
#       token_file: idp.token
#       verification: {url: "https://idp.example.com/ssf/verify", stream_id: s-1}

# gRPC over mutual TLS: identities (SPIFFE URIs of certificates, or URI/*) by what they may do.
# api:
#   listen: 127.0.0.1:7443
#   certificate: tls/server.pem
#   key: tls/server.key
#   client_ca: tls/callers.pem
#   operators: ["spiffe://fleet.example/operator/*"]
#   companions: ["spiffe://fleet.example/companion/n1"]
#   runtimes: []
#   auditors: []
#   brokers: []
`

export interface Slot {
  readonly workspace: string
  readonly interface: string
  /** 1, 2, 3 and so on. */
  readonly number: number
}

export const inventoryTemplate = (
  audience: string,
  slots: readonly Slot[],
): string => `# The workspaces of this node, and the slot, MAC and addresses that each is bound to. Signed beside it, in
# inventory.jws.json: after every change raise the revision and run \`sluice inventory sign inventory.yaml --key KEY\`.
apiVersion: sluice.dev/v1alpha1
kind: Inventory
audience: ${audience}
revision: 1
workspaces:
${slots
  .map(
    (slot) => `  - id: ${slot.workspace}
    slot:
      # veth, tap, representor, bridge-port or cgroup; the interface is the node's end.
      kind: veth
      interface: ${slot.interface}
    # The workspace's own MAC and addresses: anything else from this slot is a spoof.
    mac: "02:00:00:00:${hex(slot.number)}:02"
    addresses: [10.9.${slot.number}.2]
    # The node's end, which is the workspace's gateway.
    gateway:
      mac: "02:00:00:00:${hex(slot.number)}:01"
      addresses: [10.9.${slot.number}.1]
`,
  )
  .join('')}`

const hex = (value: number): string => value.toString(16).padStart(2, '0')

export const SANDBOX_SAMPLE = `# What the workspace may reach, in OpenShell's own schema. Sluice takes it as it is.
version: 1
network_policies:
  packages:
    name: packages
    endpoints:
      - host: registry.example
        port: 443
    binaries:
      - path: /usr/bin/npm
`

export const fenceSample = (
  workspaces: readonly string[],
): string => `# What a fence outside the workspace needs beside the SandboxPolicy.
apiVersion: sluice.dev/v1alpha1
kind: FencePolicy
metadata:
  name: sample
applies_to:
  workspaces:
${workspaces.map((workspace) => `    - ${workspace}\n`).join('')}sandboxPolicy:
  path: sandbox.yaml
on_expiry: suspend
# What the fence cannot see and leaves to the runtime inside the workspace.
delegate:
  # binaries of the rule packages: a fence sees connections, not the program that opens them.
  - binary
# Names to addresses, for a network without a resolver.
dns:
  pins:
    registry.example: [93.184.216.34]
egress:
  - name: time
    cidrs: [93.184.216.40/32]
    protocol: udp
    ports: [123]
`
