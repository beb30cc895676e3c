// Numbers of 64 bits are JavaScript numbers in every message, as their generated types say: protobufjs would take a package
// for large numbers where it finds one installed. Imported before the generated code, which looks once.

import protobuf from 'protobufjs/minimal.js'

protobuf.util.Long = null as never
protobuf.configure()
