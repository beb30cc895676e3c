// As dist/bin/bench-worker.js, with variants of the test's choosing: real ones by their names, one that fences nothing although it says
// so, and one with a planted cost (rules of nftables that match nothing, so many for each packet), which may stand beside the one that
// it is made of under a name of its own.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { adoptSha256 } from '../../../dist/base/digest.js'
import { pathOf } from '../../../dist/bench/generators.js'
import { openGround } from '../../../dist/bench/ground.js'
import { runMatrix } from '../../../dist/bench/run.js'
import { variantsOf } from '../../../dist/bench/variants/all.js'

adoptSha256((bytes) => createHash('sha256').update(bytes).digest())
const { scenes, seed, stateDirectory, names, plant } = JSON.parse(process.argv[2])
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)
const nft = (text) => execFileSync('nft', ['-f', '-'], { input: text, stdio: ['pipe', 'pipe', 'pipe'] })

const hollow = {
  name: 'hollow',
  say: 'a fence that fences nothing',
  role: 'fence',
  emulated: false,
  absent: async () => undefined,
  put: async () => ({ lift: async () => undefined }),
}

const planted = (variant, name, rules) => ({
  ...variant,
  name,
  put: async (setting) => {
    const placed = await variant.put(setting)
    const lines = Array.from({ length: rules }, (_, i) => `ip daddr 192.0.2.${i % 256} ip ttl ${i % 7} counter`).join(
      '\n',
    )
    nft(
      `table ip planted {\n chain forward {\n type filter hook forward priority 10; policy accept;\n ${lines}\n }\n}\n`,
    )
    return {
      ...placed,
      lift: async () => {
        nft('delete table ip planted\n')
        await placed.lift()
      },
    }
  },
})

execFileSync('mount', ['-t', 'bpf', 'bpf', '/sys/fs/bpf'])
const ground = await openGround()
const stop = new AbortController()
process.stdin.on('data', () => stop.abort()).on('end', () => stop.abort())
try {
  const all = [...variantsOf(stateDirectory, Date.now, ground), hollow]
  const find = (wanted) => all.find(({ name }) => name === wanted)
  const ran = await runMatrix(
    pathOf(ground),
    names.map((name) => (plant?.[name] ? planted(find(plant[name].in), name, plant[name].rules) : find(name))),
    {
      scenes,
      seed,
      budgetMs: 3_600_000,
      signal: stop.signal,
      raw: (raw) => tell({ kind: 'raw', raw }),
      progress: (progress) => tell({ kind: 'progress', progress }),
      remark: (say) => tell({ kind: 'remark', say }),
      refused: (variant, why) => tell({ kind: 'refused', variant, why }),
      clock: () => performance.now(),
    },
  )
  tell({ kind: 'ran', ran })
} finally {
  await ground.close()
  process.stdin.destroy()
}
