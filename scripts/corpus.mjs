// Checks every file of the OpenShell corpus as `sluice policy check` does and prints the counts. Takes $SLUICE_POLICIES and a
// build in dist/. A mismatch is named with what was expected and found, and with the rules of the schema that decided; one of
// a row marked `high` makes the exit code 1, one of a `medium` row is a question and does not. Without the folder it says so
// and exits 0.

import { corpusBytes, corpusRows, expected, found, refusedUnwrapped, wrapped } from './corpus-rows.mjs'

const folder = process.env.SLUICE_POLICIES
if (!folder) {
  console.log('corpus: skipped, SLUICE_POLICIES does not name the folder of policies')
  process.exit(0)
}
const { checkDocument } = await import('../dist/policy/check.js')
const { POLICY_CODES } = await import('../dist/policy/codes.js')

const rows = corpusRows(folder)
const templates = rows.filter((row) => row.wrap === 'template')
const judged = rows.filter((row) => row.wrap !== 'template')
const counts = { strict: { accept: 0, reject: 0 }, compat: { accept: 0, reject: 0 } }
const mismatches = []

/** The codes on which two outcomes differ, each with the rule behind it. */
function rules(want, got) {
  const all = new Set([...want.errors, ...want.warnings, ...got.errors, ...got.warnings])
  const differing = [...all].filter(
    (code) =>
      want.errors.includes(code) !== got.errors.includes(code) ||
      want.warnings.includes(code) !== got.warnings.includes(code),
  )
  return differing.map((code) => `${code} (${POLICY_CODES[code]?.means ?? 'not a code of this schema'})`)
}

for (const row of judged) {
  const document = wrapped(corpusBytes(folder, row), row.wrap)
  for (const profile of ['strict', 'compat']) {
    const { accepted, notes } = checkDocument(document, row.file, { profile, role: row.role })
    const got = found(accepted, notes)
    const want = expected(row, profile)
    counts[profile][got.verdict]++
    if (JSON.stringify(got) !== JSON.stringify(want)) mismatches.push({ row, profile, want, got })
  }
}

let unwrapped = 0
for (const row of judged.filter(refusedUnwrapped)) {
  const bytes = corpusBytes(folder, row)
  const accepted = ['strict', 'compat'].filter(
    (profile) => checkDocument(bytes, row.file, { profile, role: row.role }).accepted,
  )
  if (accepted.length === 0) unwrapped++
  const want = { verdict: 'reject', errors: [], warnings: [] }
  for (const profile of accepted)
    mismatches.push({ row, profile: `${profile}, as it stands`, want, got: { ...want, verdict: 'accept' } })
}

const both = (verdict) => `${counts.strict[verdict]} strict, ${counts.compat[verdict]} compat`
console.log(`corpus: ${new Set(rows.map((row) => row.file)).size} files, ${rows.length} rows`)
console.log(`  judged     ${judged.length} rows in two profiles (${templates.length} templates are not)`)
console.log(`  accepted   ${both('accept')}`)
console.log(`  rejected   ${both('reject')}`)
console.log(`  as it is   ${unwrapped} files that need a wrap are refused without it`)
console.log(`  mismatches ${mismatches.length}`)
for (const { row, profile, want, got } of mismatches) {
  console.log(`\n${row.confidence} ${row.file} (${row.role}, ${profile})`)
  console.log(`  expected ${JSON.stringify(want)}`)
  console.log(`  found    ${JSON.stringify(got)}`)
  for (const rule of rules(want, got)) console.log(`  rule     ${rule}`)
}
process.exit(mismatches.some(({ row }) => row.confidence === 'high') ? 1 : 0)
