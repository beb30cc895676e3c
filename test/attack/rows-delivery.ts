// Rows of the attack matrix about what a server or an archive can do before anything is parsed. Names are those of the
// matrix.

import { utf8 } from '../../src/base/bytes.js'
import { paxRecord, tgz } from '../unit/bundle/tarball.js'
import { serveOctets } from './forge.js'
import { archive, manifestEntry, member, type Row } from './row.js'

export const DELIVERY_ROWS: Readonly<Record<string, Row>> = {
  'endless data, slow drip': {
    variants: [
      [
        'a body without end',
        'TRANSPORT_TOO_LARGE',
        (fleet) => {
          fleet.web.answer = (request, response) => {
            if (!request.url?.endsWith('bundle.tgz')) return void response.writeHead(404).end()
            response.writeHead(200)
            const more = () => {
              while (!response.destroyed && response.write(Buffer.alloc(65_536)));
              if (!response.destroyed) response.once('drain', more)
            }
            more()
          }
        },
      ],
      [
        'an octet at a time',
        'TRANSPORT_TOO_SLOW',
        (fleet) => {
          fleet.web.answer = (request, response) => {
            if (!request.url?.endsWith('bundle.tgz')) return void response.writeHead(404).end()
            response.writeHead(200)
            const timer = setInterval(() => response.write('x'), 250)
            response.on('close', () => clearInterval(timer))
          }
        },
      ],
    ],
  },
  'decompression bomb': {
    variants: [
      [
        'twelve megabytes of nothing',
        'TRANSPORT_RATIO',
        archive([manifestEntry, ...['a', 'b', 'c'].map((name) => ({ name, content: new Uint8Array(4 << 20) }))]),
      ],
      [
        'more members than a bundle has',
        'TRANSPORT_TOO_MANY',
        archive([
          manifestEntry,
          ...Array.from({ length: 2_060 }, (_, i) => ({
            name: `m${i}`,
            content: crypto.getRandomValues(new Uint8Array(200)),
          })),
        ]),
      ],
    ],
  },
  'tar and zip tricks': {
    variants: [
      ['an absolute path', 'TRANSPORT_ENTRY', archive({ ...member, name: '/etc/cron.d/x' })],
      ['a path that climbs', 'TRANSPORT_ENTRY', archive({ ...member, name: '../../x' })],
      ['an empty segment', 'TRANSPORT_ENTRY', archive({ ...member, name: 'a//b' })],
      ['a "." segment', 'TRANSPORT_ENTRY', archive({ ...member, name: './a' })],
      ['a backslash', 'TRANSPORT_ENTRY', archive({ ...member, name: '..\\x' })],
      ['a symbolic link', 'TRANSPORT_ENTRY', archive({ name: 'a', type: '2', link: '/etc/passwd' })],
      ['a hard link', 'TRANSPORT_ENTRY', archive({ name: 'a', type: '1', link: 'bundle.yaml' })],
      ['a device', 'TRANSPORT_ENTRY', archive({ name: 'a', type: '3' })],
      ['one name twice', 'TRANSPORT_ENTRY', archive([manifestEntry, member, member])],
      ['names that differ in case', 'TRANSPORT_ENTRY', archive([manifestEntry, member, { ...member, name: 'A.yaml' }])],
      ['a composed and a decomposed letter', 'TRANSPORT_ENTRY', archive({ ...member, name: 'e\u0301.yaml' })],
      ['a PAX path', 'TRANSPORT_ENTRY', archive({ name: 'x', type: 'x', content: paxRecord('path', '/etc/x') })],
      ['a PAX size', 'TRANSPORT_ENTRY', archive({ name: 'x', type: 'x', content: paxRecord('size', '1') })],
      ['a GNU long name', 'TRANSPORT_ENTRY', archive({ name: 'x', type: 'L', content: utf8('/etc/x') })],
      [
        'data after the end',
        'TRANSPORT_ARCHIVE',
        archive([manifestEntry], Buffer.concat([new Uint8Array(1024), utf8('more')])),
      ],
      [
        'a second gzip member',
        'TRANSPORT_ARCHIVE',
        (fleet) => serveOctets(fleet, Buffer.concat([tgz([manifestEntry]), tgz([manifestEntry])])),
      ],
    ],
  },
}
