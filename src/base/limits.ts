// Every limit on untrusted input, in one place. Each is checked before the allocation that it protects, and has a test
// at the limit and one past it. Sizes are octets unless the name says otherwise.

export const LIMITS = {
  /** YamlSigil: the signature document. */
  carrierBytes: 16_384,
  keyIdBytes: 1_024,
  bundleIdCharacters: 512,
  manifestBytes: 1 << 20,
  archiveBytes: 8 << 20,
  unpackedBytes: 32 << 20,
  archiveRatio: 100,
  members: 1_024,
  memberBytes: 4 << 20,
  pathBytes: 255,
  pathSegments: 16,
  documentDepth: 32,
  documentNodes: 2_000_000,
  /** For documents that carry no list of grants: manifests, envelopes, configuration. */
  smallDocumentNodes: 100_000,
  scalarBytes: 65_536,
  envelopeBytes: 1 << 20,
  envelopeSignatures: 16,
  protectedHeaderBytes: 4_096,
  rootBytes: 65_536,
  /** Roots followed in one run. */
  rootSteps: 64,
  freshnessBytes: 16_384,
  breakglassBytes: 16_384,
  /** A registration record with its signatures. */
  registrationBytes: 65_536,
  /** Registration records of one node. */
  registrations: 4_096,
  /** A delegation record with its signatures; it travels inside a question. */
  delegationBytes: 16_384,
  /** In a list of images. */
  images: 1_024,
  /** One file of an image: a golden disk. */
  imageFileBytes: 2 ** 40,
  certificateBytes: 16_384,
  /** The signer's and its intermediates; the anchor is not counted. */
  chainCertificates: 4,
  anchors: 8,
  crlBytes: 1 << 20,
  crls: 16,
  inventoryBytes: 4 << 20,
  /** Any file that an operator names and that has no limit of its own. */
  operatorFileBytes: 4 << 20,
  /** A plan that `sluice plan --out` wrote. */
  planBytes: 1 << 30,
  workspaces: 4_096,
  volumesPerWorkspace: 64,
  /** One path of a file rule; PATH_MAX without its end. */
  filePathBytes: 4_095,
  fileNameBytes: 255,
  sandboxRules: 10_000,
  sandboxEndpoints: 100_000,
  grantsPerWorkspace: 1_100_000,
  /** Largest accepted step of policy_revision; beyond it only with a new epoch. */
  revisionJump: 1_000_000n,
} as const
