// The contract between the companion and what runs virtual machines: `qemu` and `libvirt`, with room for others. A machine
// exists before it runs (`prepare`), so that its fence can be read back and proved while no instruction of it was executed.
//
// A driver answers from the machine itself, every time: processes, QMP, the kernel. It keeps nothing in memory that another
// process of the companion could not find again, so a companion that was killed begins anew with `list`. Every call is
// idempotent: asking twice for what is so already is no fault. Nothing here attaches, fences or decides: it only runs.

import type { Digest } from '../../base/digest.js'

/** One incarnation of a workspace: `[a-z0-9][a-z0-9-]{0,39}`. A rebake has another; a stop and start has the same. */
export type MachineId = string

/** A file that was verified when it came, and is verified again through the descriptor that the machine gets. */
export interface VerifiedFile {
  readonly path: string
  readonly digest: Digest
  readonly bytes: number
}

/** What boots. At least one of `kernel` and `disk`. Every file is named by the image's signed manifest (images.ts). */
export interface BootImage {
  /** For people and the trail: `name@version`. */
  readonly image: string
  readonly kernel?: { readonly file: VerifiedFile; readonly initrd?: VerifiedFile; readonly commandLine: string }
  /** The golden image, read-only, and the machine's own layer over it; the layer is a qcow2 that `makeOverlay` made. */
  readonly disk?: { readonly base: VerifiedFile; readonly format: 'raw' | 'qcow2'; readonly overlay: string }
}

/** The one way into and out of the machine. The node's end exists already (`ensureTap`), and is fenced. */
export type Nic =
  | { readonly kind: 'tap'; readonly interface: string; readonly mac: string }
  | { readonly kind: 'vfio'; readonly pci: string; readonly mac: string }

/** `source`: an absolute directory of this node, the mount of a storage backend; `tag`: what the machine mounts, 1 to 36 characters. */
export interface SharedVolume {
  readonly tag: string
  readonly kind: 'virtiofs'
  readonly source: string
  readonly readOnly: boolean
}

export interface MachineLimits {
  /** Of one CPU, in hundredths: 150 is one and a half. */
  readonly cpuPercent: number
  /** Of all processes of the machine: more than its own memory. */
  readonly memoryMiB: number
  readonly pids: number
}

export interface MachineSpec {
  readonly id: MachineId
  /** SPIFFE URI. */
  readonly workspace: string
  readonly boot: BootImage
  readonly cpus: number
  readonly memoryMiB: number
  readonly nic: Nic
  readonly volumes: readonly SharedVolume[]
  readonly limits: MachineLimits
  /** User and group that the machine's process runs as: of this workspace alone, and not 0. */
  readonly user: number
}

/**
 * `prepared`: it exists and no virtual CPU has ever run. `ended`: the machine shut down or panicked by itself; what it left can be
 * looked at until `kill`. `gone`: it was here and its process is not; `remove` ends it. `silent`: its process is there and does not
 * answer.
 */
export type MachineState = 'prepared' | 'running' | 'paused' | 'ended' | 'gone' | 'silent'

export interface MachineSeen {
  readonly id: MachineId
  readonly workspace: string
  readonly state: MachineState
  /** The spec that it was prepared with, as `specDigest` says it. */
  readonly spec: Digest
  readonly image: string
  /** Absent, like `user`, when nothing but processes is known of it: then `workspace` and `image` are empty too. */
  readonly nic?: Nic
  readonly user?: number
  /** Absent when `gone`. */
  readonly pid?: number
}

/** One thing of a machine through which octets could leave, as the machine or the kernel says; never from our own arguments. */
export interface DevicePath {
  /** network, storage, serial, share, control; `other` is what nobody asked for. */
  readonly kind: 'network' | 'storage' | 'serial' | 'share' | 'control' | 'other'
  readonly name: string
  readonly detail: string
}

export interface MachineInside {
  readonly state: MachineState
  readonly accelerator: 'kvm' | 'tcg'
  readonly nic: { readonly mac: string; readonly behind: string }
  readonly paths: readonly DevicePath[]
  readonly cpus: number
  readonly memoryMiB: number
  /** Limits as the kernel holds them; undefined where it holds none. */
  readonly limits: Partial<MachineLimits>
}

/** Can it be used here, and as what. `why` says what is missing, or what there is instead. */
export interface DriverProbe {
  readonly usable: boolean
  readonly why: string
  readonly version?: string
  readonly accelerator?: 'kvm' | 'tcg'
  readonly shares: readonly SharedVolume['kind'][]
  readonly vfio: boolean
}

export interface MachineDriver {
  readonly name: 'qemu' | 'libvirt'
  probe(): Promise<DriverProbe>
  /**
   * When this resolves the process exists, confined and limited, its devices were read back, and no virtual CPU has run. The same
   * spec again gives what is there, in whatever state. Throws MACHINE_SPEC, MACHINE_TAKEN (the id has another spec), MACHINE_IMAGE,
   * MACHINE_PATH (a way out that nobody asked for), MACHINE_NIC, MACHINE_UNSUPPORTED, MACHINE_START; nothing is left then.
   */
  prepare(spec: MachineSpec): Promise<MachineSeen>
  /** Lets the CPUs run; reads the devices back once more before. Throws MACHINE_UNKNOWN, MACHINE_PATH, MACHINE_STATE, MACHINE_SILENT. */
  run(id: MachineId): Promise<void>
  /** Stops the CPUs where they are. */
  pause(id: MachineId): Promise<void>
  /** Asks the machine to shut down, and kills it when it has not within `graceMs`. Gone when this resolves. */
  stop(id: MachineId, graceMs: number): Promise<'stopped' | 'killed'>
  /** Resolves when no process of the machine is left; nothing to kill is no fault. Throws MACHINE_ALIVE. */
  kill(id: MachineId): Promise<void>
  /** After `kill`: takes away what the driver keeps about it. Never the overlay, the tap or a volume. Throws MACHINE_ALIVE. */
  remove(id: MachineId): Promise<void>
  /** Takes away the last words of machines that are gone, where this says so: nobody may ask for them any more. */
  forgetWords(isPast: (id: MachineId) => boolean): Promise<void>
  /** Every machine that this driver has anything of, sorted; those of a companion that is no more too. No machine is asked. */
  ids(): Promise<readonly MachineId[]>
  /** What each of `ids` is now, sorted by id. One that does not answer within a second is `silent`, and holds up no other. */
  list(): Promise<readonly MachineSeen[]>
  /** Throws MACHINE_UNKNOWN, MACHINE_SILENT. */
  inspect(id: MachineId): Promise<MachineInside>
  /** The last of what the machine said on its serial line, at most `maxBytes`; untrusted. Throws MACHINE_UNKNOWN. */
  consoleOf(id: MachineId, maxBytes: number): Promise<Uint8Array>
}
