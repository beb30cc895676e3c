// HTTP for the bench: `node scripts/autocannon.mjs URL MS CONNECTIONS` has autocannon ask for so long and prints what came of it in the
// line that sluice-load prints (src/native/bench/load.c). Its command line knows latencies in whole milliseconds, which says nothing of
// a link of microseconds; its API tells each response with the time that it took, in fractions. What still waits at the end
// counts with the time that it has waited, where that is longer than the middle one: a stall is not hidden by the end of the run.
// It takes what a link answers, and ends with 1 where nothing can be asked at all.

import autocannon from 'autocannon'

/** As src/bench/histogram.ts and src/native/bench/load.h have it. */
const HALF = 128
const SLICES = 10
/** How often autocannon looks whether its time is over. */
const LOOK_MS = 100

const [url = '', duration, flows] = process.argv.slice(2)
const ms = Number(duration)
if (url === '' || !(ms > 0) || !(Number(flows) > 0)) {
  console.error('autocannon.mjs URL MS CONNECTIONS')
  process.exit(64)
}

const buckets = new Map()
const add = (milliseconds) => {
  const value = Math.max(0, Math.round(milliseconds * 1e6))
  let shift = 0
  while (value / 2 ** shift >= 2 * HALF) shift++
  const at = shift * HALF + Math.floor(value / 2 ** shift)
  buckets.set(at, (buckets.get(at) ?? 0) + 1)
}

/** When the request of each connection that is under way left: with its first response it sends the next. */
const since = new Map()
const slices = new Array(SLICES).fill(0)
const took = []
let began = performance.now()
const run = autocannon({
  url,
  connections: Number(flows),
  duration: ms / 1_000,
  sampleInt: LOOK_MS,
  setupClient: (client) => since.set(client, performance.now()),
})
run.on('start', () => {
  began = performance.now()
})
run.on('response', (client, status, _octets, milliseconds) => {
  const now = performance.now()
  since.set(client, now)
  if (status < 200 || status > 299) return
  // What is answered after the time is over counts in no tenth, and its latency all the same.
  const slice = Math.floor((Math.max(0, now - began) / ms) * SLICES)
  if (slice < SLICES) slices[slice]++
  took.push(milliseconds)
  add(milliseconds)
})
const { errors, non2xx } = await run
const end = performance.now()
const middle = took.sort((a, b) => a - b)[took.length >> 1] ?? 0
for (const left of since.values()) if (end - left > middle) add(end - left)
const seen = [...buckets].sort(([a], [b]) => a - b)
const tally = { done: took.length, failed: errors + non2xx, seconds: (end - began) / 1_000, slices, buckets: seen }
console.log(JSON.stringify(tally))
