// The two web-platform classes that pure code may use. They exist in every JavaScript runtime but in no ES library file;
// declaring them here, instead of loading Node's types, keeps every other global out of the pure folders. An interface that pure
// code only passes along by type stands here too.
declare class TextEncoder {
  encode(input?: string): Uint8Array<ArrayBuffer>
}
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean })
  decode(input?: Uint8Array): string
}
interface AbortSignal {
  readonly aborted: boolean
}
