import { defineConfig } from 'vitest/config'

// Kernel suites share one machine's network namespaces and nftables: files run one after another.
export default defineConfig({
  test: { include: ['test/**/*.test.ts'], fileParallelism: false, testTimeout: 60_000, hookTimeout: 120_000 },
})
