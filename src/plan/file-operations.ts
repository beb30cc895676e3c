// Every operation of a file system that can read, write, create, link, change metadata or list, and what each needs of the
// path that it names. It is one table, because a FUSE request, a virtio-fs request and a hook of the kernel must not differ in
// it; `src/native/vault/vault.h` has the same numbers, and a test compares them.

/** `see`: that it is there, and its metadata. `never`: no rule allows it. */
export type FileNeed = 'see' | 'read' | 'write' | 'never'

export interface FileOperationRow {
  readonly need: FileNeed
  /** Takes an entry out of its directory, or puts another in its place: rules stay about what they were written for. */
  readonly moves?: true
}

/** In the order of the numbers. Two-path operations ask for each path by itself: `rename-from`, then `rename-to`. */
export const FILE_OPERATIONS = {
  lookup: { need: 'see' },
  getattr: { need: 'see' },
  statfs: { need: 'see' },
  list: { need: 'see' },
  readlink: { need: 'read' },
  open: { need: 'read' },
  'open-write': { need: 'write' },
  getxattr: { need: 'read' },
  create: { need: 'write' },
  mkdir: { need: 'write' },
  mknod: { need: 'write' },
  symlink: { need: 'write' },
  unlink: { need: 'write', moves: true },
  rmdir: { need: 'write', moves: true },
  'rename-from': { need: 'write', moves: true },
  'rename-to': { need: 'write', moves: true },
  'link-from': { need: 'write' },
  'link-to': { need: 'write', moves: true },
  setattr: { need: 'write' },
  setxattr: { need: 'write' },
  write: { need: 'write' },
  read: { need: 'read' },
  fallocate: { need: 'write' },
  copy: { need: 'write' },
  /** Device nodes, and attributes that are more than data: capabilities, labels, ACLs. */
  'make-device': { need: 'never' },
  'set-privilege': { need: 'never' },
  ioctl: { need: 'never' },
  /** By a handle instead of a path: nothing says which rule it is about. */
  'open-handle': { need: 'never' },
} as const satisfies Readonly<Record<string, FileOperationRow>>

export type FileOperation = keyof typeof FILE_OPERATIONS

export const FILE_OPERATION_NAMES = Object.keys(FILE_OPERATIONS) as readonly FileOperation[]
