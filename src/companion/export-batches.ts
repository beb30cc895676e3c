// A stream as batches: everything that has come when somebody asks, so that a disk that is slow gets larger writes and a quick one
// gets smaller ones. Bounded: beyond `maxBytes` the stream is not read on, and the flow control of its connection holds the sender.

/** Ends with the stream; throws what the stream throws, after everything before it was handed out. */
export async function* batched<T>(
  source: AsyncIterable<T>,
  bytesOf: (item: T) => number,
  maxBytes: number,
): AsyncGenerator<readonly T[]> {
  const found = { items: [] as T[], bytes: 0, over: false, failed: false, error: undefined as unknown }
  let heard = (): void => undefined
  let room = (): void => undefined
  let left = false
  const read = async (): Promise<void> => {
    try {
      for await (const item of source) {
        if (left) return
        found.items.push(item)
        found.bytes += bytesOf(item)
        heard()
        if (found.bytes < maxBytes) continue
        await new Promise<void>((resolve) => {
          room = resolve
        })
        if (left) return
      }
    } catch (error) {
      found.failed = true
      found.error = error
    } finally {
      found.over = true
      heard()
    }
  }
  const reading = read()
  try {
    for (;;) {
      while (found.items.length === 0 && !found.over)
        await new Promise<void>((resolve) => {
          heard = resolve
        })
      if (found.items.length === 0) break
      const { items } = found
      found.items = []
      found.bytes = 0
      room()
      yield items
    }
    await reading
    if (found.failed) throw found.error
  } finally {
    // Whoever leaves early ends the stream by its own signal; what waits for room here must not wait for ever.
    left = true
    room()
  }
}
