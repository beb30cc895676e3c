// Operations as a guest's kernel asks for them, each beside what the oracle is asked: rows for suites that play all of them.

import type { FileOperation } from '../../../src/plan/file-operations.js'
import { type Answered, type Guest, names, words } from './guest.js'

/** Whoever plays requests at a card. */
export type Asking = Pick<Guest, 'ask'>
export type Play = (guest: Asking, node: bigint, parent: bigint, name: string) => Promise<Answered>
/** `valid` as in struct fuse_setattr_in. */
export const setattr = (valid: number, mode = 0o700): Buffer =>
  Buffer.concat([words(valid, 0, 0n, 0n, 0n, 0n, 0n, 0n, 0, 0, 0, mode, 0, 0, 0, 0)])

/** On a node that is there: what the oracle is asked, and the request. */
export const ON_NODE: readonly (readonly [FileOperation, 'file' | 'directory' | 'any', Play])[] = [
  ['getattr', 'any', (guest, node) => guest.ask('getattr', node, { arg: words(0, 0, 0n) })],
  ['list', 'directory', (guest, node) => guest.ask('opendir', node, { arg: words(0, 0) })],
  ['open', 'file', (guest, node) => guest.ask('open', node, { arg: words(0, 0) })],
  ['open-write', 'file', (guest, node) => guest.ask('open', node, { arg: words(1, 0) })],
  ['open-write', 'file', (guest, node) => guest.ask('open', node, { arg: words(0o1000, 0) })],
  ['setattr', 'any', (guest, node) => guest.ask('setattr', node, { arg: setattr(1) })],
  ['setattr', 'file', (guest, node) => guest.ask('setattr', node, { arg: setattr(8) })],
  [
    'setxattr',
    'any',
    (guest, node) =>
      guest.ask('setxattr', node, {
        arg: words(1, 0, 0, 0),
        given: Buffer.concat([names('user.a'), Buffer.from('x')]),
      }),
  ],
  [
    'set-privilege',
    'any',
    (guest, node) =>
      guest.ask('setxattr', node, {
        arg: words(1, 0, 0, 0),
        given: Buffer.concat([names('security.capability'), Buffer.from('x')]),
      }),
  ],
  [
    'getxattr',
    'any',
    (guest, node) => guest.ask('getxattr', node, { arg: words(64, 0), given: names('user.none'), room: 64 }),
  ],
]

/** On an entry of a directory that may be looked up. */
export const ON_ENTRY: readonly (readonly [FileOperation, Play])[] = [
  ['mkdir', (guest, _, parent, name) => guest.ask('mkdir', parent, { arg: words(0o755, 0), given: names(name) })],
  [
    'create',
    (guest, _, parent, name) => guest.ask('create', parent, { arg: words(0o102, 0o644, 0, 0), given: names(name) }),
  ],
  [
    'mknod',
    (guest, _, parent, name) => guest.ask('mknod', parent, { arg: words(0o010644, 0, 0, 0), given: names(name) }),
  ],
  [
    'make-device',
    (guest, _, parent, name) => guest.ask('mknod', parent, { arg: words(0o020644, 0, 0, 0), given: names(name) }),
  ],
  ['symlink', (guest, _, parent, name) => guest.ask('symlink', parent, { given: names(name, '/etc/passwd') })],
  ['unlink', (guest, _, parent, name) => guest.ask('unlink', parent, { given: names(name) })],
  ['rmdir', (guest, _, parent, name) => guest.ask('rmdir', parent, { given: names(name) })],
]
