// The emulated virtio-fs card in this process, as the shim's own library has it, and a guest of one of its functions: what
// doca-shims/vault/emulator/include/doca_emulated_guest.h declares, for tests of the agent's own backend.

import { execFileSync } from 'node:child_process'
import koffi from 'koffi'
import { vaultShimPath } from '../../../src/backends/doca-vault/native.js'
import { repositoryPath } from '../lab/repository.js'
import { type Answered, type Ask, FUSE, type FuseOp, PCI, VUID } from './guest.js'

/** The shim on the emulator, as its sources are now. */
export const buildShim = (): void => {
  execFileSync('make', ['-s', '-f', 'doca-shims/vault/Makefile'], { cwd: repositoryPath(''), stdio: 'inherit' })
}

/** struct emulated_answer: where its members lie. */
const ANSWER = { status: 0, errno: 4, length: 8, body: 16, opened: 144, got: 160, data: 164, size: 1_048_744 } as const

export class EmulatedCard {
  private readonly asking: ReturnType<ReturnType<typeof koffi.load>['func']>
  private readonly said: ReturnType<ReturnType<typeof koffi.load>['func']>
  private readonly request: ReturnType<typeof koffi.struct>

  constructor(vuids: readonly string[]) {
    const library = koffi.load(vaultShimPath())
    library.func('void emulated_card(const char *pci, const char *vuids)')(PCI, vuids.join(','))
    this.request = koffi.struct({
      ...{ opcode: 'uint32_t', nodeid: 'uint64_t', uid: 'uint32_t', gid: 'uint32_t', pid: 'uint32_t' },
      ...{ arg: 'void *', arg_size: 'uint32_t', given: 'void *', given_size: 'uint32_t', later: 'void *' },
      ...{ room: 'uint32_t', pieces: 'uint32_t' },
    })
    this.asking = library.func('emulated_ask', 'void', ['str', koffi.pointer(this.request), 'void *'])
    this.said = library.func('uint32_t emulated_violations(void *text, uint32_t room)')
  }

  /** As the guest's kernel asks, on a thread of its own: the card answers from another. */
  ask(op: FuseOp | number, node: bigint, ask: Ask = {}): Promise<Answered> {
    const { arg, given, room = 0, pieces = 1, uid = 0, vuid = VUID } = ask
    const out = Buffer.alloc(ANSWER.size)
    const request = {
      ...{ opcode: typeof op === 'number' ? op : FUSE[op], nodeid: node, uid, gid: 0, pid: 1234 },
      ...{ arg: arg ?? null, arg_size: arg?.length ?? 0, given: given ?? null, given_size: given?.length ?? 0 },
      ...{ later: null, room, pieces },
    }
    return new Promise((done, failed) => {
      this.asking.async(vuid, request, out, (error: Error | null) => {
        if (error) failed(error)
        else
          done({
            status: out.readInt32LE(ANSWER.status),
            errno: Math.abs(out.readInt32LE(ANSWER.errno)),
            length: out.readUInt32LE(ANSWER.length),
            body: out.subarray(ANSWER.body, ANSWER.opened),
            opened: out.subarray(ANSWER.opened, ANSWER.got),
            data: out.subarray(ANSWER.data, ANSWER.data + out.readUInt32LE(ANSWER.got)),
          })
      })
    })
  }

  /** What was done that a card would not take, since the last call. */
  violations(): string[] {
    const text = Buffer.alloc(4096)
    this.said(text, text.length)
    return text
      .toString('utf8', 0, text.indexOf(0))
      .split('\n')
      .filter((line) => line !== '')
  }
}
