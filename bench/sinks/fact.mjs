// A refusal as the agent tells it: what benches of the trail write by the thousand.

const digest = `sha256:${'0d'.repeat(32)}`
export const denied = {
  kind: 'flow-denied',
  atMs: 1_775_014_138_811,
  firstAtMs: 1_775_014_138_000,
  policy: { bundleId: 'acme-agents', bundleDigest: digest, policyRevision: '7', generation: 31 },
  workspace: { workspace: 'spiffe://acme.example/ws/coding', attachmentId: 'att-3', interface: 'ws0' },
  flow: {
    direction: 'egress',
    protocol: 6,
    source: '10.9.0.2',
    sourcePort: 40_000,
    destination: '93.184.216.34',
    destinationPort: 22,
  },
  reason: 'no-grant',
  backend: 'nftables',
  refusal: 'reset',
  count: 12,
}
