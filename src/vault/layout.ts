// The layout of a compiled table, which C and the agent share: src/native/vault/vault.h in the agent's words. A test compares
// every size and offset with what the C compiler says. Little-endian, whatever the machine.

export const VAULT_ABI = 1
export const VAULT_MAGIC = 0x746c7556
export const NONE = 0xffffffff

export const STRUCTS = {
  vault_header: {
    size: 72,
    fields: {
      magic: 0,
      abi: 4,
      generation: 8,
      digest: 16,
      deadline_ms: 48,
      volumes: 56,
      nodes: 60,
      text: 64,
      size: 68,
    },
  },
  vault_volume: { size: 40, fields: { workspace: 0, name: 8, source: 16, mount: 24, root: 32, terms: 36 } },
  vault_node: { size: 48, fields: { name: 0, child: 8, children: 12, rights: 16, leads: 20, clause: 24 } },
} as const

/** The bits of `rights`, and the places in `clause`. */
export const RIGHT = { deny: 1, 'read-only': 2, 'read-write': 4 } as const
export const CLAUSE_AT = { deny: 0, 'read-only': 1, 'read-write': 2 } as const

/** The bits of `terms`. */
export const TERM = { holds: 1, lasts: 2 } as const
