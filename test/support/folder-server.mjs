// A folder behind TLS, for a namespace: PORT CERTIFICATE KEY FOLDER. Serves regular files below it and 404 for the rest.

import { readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:https'
import { join, normalize } from 'node:path'

const [port, cert, key, folder] = process.argv.slice(2)
createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => {
  const path = join(folder, normalize(new URL(request.url, 'https://localhost').pathname))
  const there = path.startsWith(folder) && statSync(path, { throwIfNoEntry: false })?.isFile()
  if (!there) response.writeHead(404).end()
  else response.writeHead(200).end(readFileSync(path))
}).listen(Number(port), '127.0.0.1')
