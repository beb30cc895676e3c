// The two web-platform classes that pure code may use. They exist in every JavaScript runtime but in no ES library file;
// declaring them here, instead of loading Node's types, keeps every other global out of the pure folders.
declare class TextEncoder {
  encode(input?: string): Uint8Array<ArrayBuffer>
}
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean })
  decode(input?: Uint8Array): string
}
