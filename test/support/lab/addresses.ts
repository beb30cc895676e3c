// The addresses of the laboratory: two workspaces, the enforcement node between, and an outside world whose addresses look
// public. TEST-NETs will not do: they are reserved, so the fence refuses them whatever a policy says (design section 5).
// Private, metadata and other reserved addresses exist out there too, so that a refusal is the fence's doing and not the
// routing's.

export interface WorkspaceEnd {
  /** Interface inside the workspace, and its peer on the node. */
  readonly inside: string
  readonly slot: string
  readonly mac: string
  readonly gatewayMac: string
  readonly v4: string
  readonly gateway4: string
  readonly v6: string
  readonly gateway6: string
  /** EUI-64 of the two MACs (RFC 4291 appendix A). */
  readonly linkLocal: string
  readonly gatewayLinkLocal: string
}

export const WS: WorkspaceEnd = {
  inside: 'eth0',
  slot: 'ws0',
  mac: '02:00:00:00:09:02',
  gatewayMac: '02:00:00:00:09:01',
  v4: '10.9.0.2',
  gateway4: '10.9.0.1',
  v6: 'fd09:0:0:1::2',
  gateway6: 'fd09:0:0:1::1',
  linkLocal: 'fe80::ff:fe00:902',
  gatewayLinkLocal: 'fe80::ff:fe00:901',
}

export const WS2: WorkspaceEnd = {
  inside: 'eth0',
  slot: 'ws1',
  mac: '02:00:00:00:09:06',
  gatewayMac: '02:00:00:00:09:05',
  v4: '10.9.0.6',
  gateway4: '10.9.0.5',
  v6: 'fd09:0:0:2::2',
  gateway6: 'fd09:0:0:2::1',
  linkLocal: 'fe80::ff:fe00:906',
  gatewayLinkLocal: 'fe80::ff:fe00:905',
}

/** The link between node and outside world. */
export const UPLINK = {
  node: { interface: 'up0', mac: '02:00:00:00:01:02', v4: '45.76.9.2', v6: '2a05:9:1::2' },
  out: { interface: 'eth0', mac: '02:00:00:00:01:01', v4: '45.76.9.1', v6: '2a05:9:1::1' },
} as const

/** Outside addresses by what they stand for. Every one of them answers on every port of OUT_PORTS. */
export const OUT = {
  git: '45.76.10.10',
  registry: '45.76.10.20',
  inference: '45.76.10.30',
  unlisted: '93.184.216.34',
  database: '10.50.0.10',
  broker: '10.60.0.1',
  carrierNat: '100.64.0.10',
  testNet: '203.0.113.10',
  metadata: '169.254.169.254',
  git6: '2a05:9:9::10',
  unlisted6: '2a05:9:9::66',
  uniqueLocal6: 'fd50::10',
  metadata6: 'fd00:ec2::254',
} as const

export const OUT_PORTS = {
  http: [80, 443, 8080],
  echo: [22, 853, 5000, 5432, 6443, 7000, 8000, 8050, 8100, 8101],
  udp: [53, 123, 443, 514, 5000, 5001],
} as const

export const isV6 = (address: string): boolean => address.includes(':')
