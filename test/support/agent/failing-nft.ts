// An nftables that refuses on demand, for an agent process: the kernel's refusals as the product sees them, without a kernel
// that refuses. Compiled once into a folder of the test's own.

import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryPath } from '../lab/repository.js'

export interface FailingNft {
  /** For the agent's process. */
  readonly environment: Readonly<Record<string, string>>
  /** From now on every command and every question about a ruleset is refused, until `mend`. */
  readonly fail: () => void
  readonly mend: () => void
  /** From now on they wait, until `goOn`. */
  readonly hang: () => void
  readonly goOn: () => void
}

export function failingNft(folder: string): FailingNft {
  const source = repositoryPath('test/support/native/failing_nft.c')
  execFileSync('cc', ['-shared', '-fPIC', '-O1', '-Wall', '-o', join(folder, 'libnftables.so.1'), source, '-ldl'])
  const listed = execFileSync('/sbin/ldconfig', ['-p'], { encoding: 'utf8' })
  const real = /libnftables\.so\.1 .*=> (\S+)/.exec(listed)?.[1] ?? ''
  const file = join(folder, 'nft-refuses')
  const waits = join(folder, 'nft-waits')
  return {
    environment: {
      LD_LIBRARY_PATH: folder,
      LD_PRELOAD: join(folder, 'libnftables.so.1'),
      SLUICE_TEST_NFT_REAL: real,
      SLUICE_TEST_NFT_FAIL: file,
      SLUICE_TEST_NFT_HANG: waits,
    },
    fail: () => {
      writeFileSync(file, '')
    },
    mend: () => {
      rmSync(file)
    },
    hang: () => {
      writeFileSync(waits, '')
    },
    goOn: () => {
      rmSync(waits)
    },
  }
}
