// Public resolvers that speak DNS over HTTPS on port 443, by name and address. A workspace that reaches one asks names that
// the mediator never sees (requirement 8 of the egress sheet), so a wildcard never admits them; a clause that names one
// exactly does. The table knows the large ones; the default deny is what holds for the rest.

const NAMES: readonly string[] = [
  'dns.google',
  'dns64.dns.google',
  'cloudflare-dns.com',
  'one.one.one.one',
  'quad9.net',
  'dns.nextdns.io',
  'doh.opendns.com',
  'dns.adguard-dns.com',
  'dns.adguard.com',
  'doh.cleanbrowsing.org',
  'dns.mullvad.net',
  'doh.dns.sb',
  'dns.controld.com',
  'freedns.controld.com',
  'doh.pub',
  'dns.alidns.com',
  'doh.libredns.gr',
  'dns.twnic.tw',
  'doh.mullvad.net',
  'dns0.eu',
]

const ADDRESSES: ReadonlySet<string> = new Set([
  '1.0.0.1',
  '1.1.1.1',
  '8.8.4.4',
  '8.8.8.8',
  '9.9.9.9',
  '9.9.9.10',
  '149.112.112.112',
  '94.140.14.14',
  '94.140.15.15',
  '208.67.220.220',
  '208.67.222.222',
  '2001:4860:4860::8844',
  '2001:4860:4860::8888',
  '2606:4700:4700::1001',
  '2606:4700:4700::1111',
  '2620:fe::9',
  '2620:fe::fe',
])

/** The name itself or one below it: providers give their customers names of their own. */
export const isResolverName = (name: string): boolean =>
  NAMES.some((known) => name === known || name.endsWith(`.${known}`))

export const isResolverAddress = (address: string): boolean => ADDRESSES.has(address)
