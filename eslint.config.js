// Lint rules, chosen one by one. Format and syntax-level lint are biome's (biome.json); what is here needs types, or knows
// the layers of this project. No preset: a rule is on because of the reason that stands with it.

import { readFileSync } from 'node:fs'
import tseslint from 'typescript-eslint'

/** The pure files are listed once, in the configuration that compiles them without Node's types. */
const pure = JSON.parse(readFileSync(new URL('tsconfig.pure.json', import.meta.url), 'utf8'))
  .include.filter((path) => path.startsWith('src/'))
  .map((path) => (path.endsWith('.ts') ? path : `${path}/**/*.ts`))

const noDefaultExport = {
  selector: 'ExportDefaultDeclaration',
  message: 'A default export has no name to search for.',
}
const bareError = {
  selector: "ThrowStatement > NewExpression[callee.name='Error']",
  message: 'Throw a Fault with a code (base/fault.ts), or TypeError for an invariant of ours.',
}

export default tseslint.config(
  { ignores: ['dist', 'build', 'node_modules', '**/gen/**', 'policies'] },
  {
    files: ['**/*.ts'],
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    plugins: { '@typescript-eslint': tseslint.plugin },
    rules: {
      // A forgotten await is a fence that says "done" before it is.
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      '@typescript-eslint/prefer-promise-reject-errors': 'error',
      // Errors are the one class with a cause; a thrown string has neither.
      '@typescript-eslint/only-throw-error': 'error',
      // `any` switches every other check off, silently, for all it touches.
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-unsafe-argument': 'error',
      '@typescript-eslint/no-unsafe-assignment': 'error',
      '@typescript-eslint/no-unsafe-call': 'error',
      '@typescript-eslint/no-unsafe-member-access': 'error',
      '@typescript-eslint/no-unsafe-return': 'error',
      '@typescript-eslint/no-unsafe-function-type': 'error',
      // A union that gains a member must break every switch over it.
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      // "[object Object]" in a message or a rule helps nobody; a bigint sorts wrongly as text.
      '@typescript-eslint/no-base-to-string': 'error',
      '@typescript-eslint/require-array-sort-compare': ['error', { ignoreStringArrays: true }],
      '@typescript-eslint/restrict-plus-operands': 'error',
      // Types remember checks: an assertion that changes nothing hides one that does.
      '@typescript-eslint/no-unnecessary-type-assertion': 'error',
      '@typescript-eslint/non-nullable-type-assertion-style': 'off', // biome forbids `!`, the shorter spelling
      '@typescript-eslint/no-for-in-array': 'error',
      '@typescript-eslint/no-array-delete': 'error',
      '@typescript-eslint/no-implied-eval': 'error',
      '@typescript-eslint/no-mixed-enums': 'error',
      '@typescript-eslint/unbound-method': 'error',
      '@typescript-eslint/no-misused-spread': ['error', { allow: ['string'] }], // by code point is what we mean
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-import-type-side-effects': 'error',
      eqeqeq: 'error',
      'no-restricted-syntax': ['error', noDefaultExport],
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', noDefaultExport, bareError] },
  },
  {
    // Values come in as parameters: nothing pure reads the clock, chance, the environment or the machine.
    files: pure,
    rules: {
      'no-restricted-globals': [
        'error',
        ...['process', 'Buffer', 'fetch', 'crypto', 'performance', 'console', 'require', 'globalThis', 'setTimeout'],
        ...['setInterval', 'setImmediate', 'queueMicrotask', 'structuredClone'],
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: 'Time comes in as a parameter.' },
        { object: 'Math', property: 'random', message: 'Randomness comes in as a parameter.' },
      ],
      'no-restricted-imports': [
        'error',
        { patterns: [{ group: ['node:*'], message: 'Pure code cannot reach Node.' }] },
      ],
      'no-restricted-syntax': [
        'error',
        noDefaultExport,
        bareError,
        { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'Time comes in as a parameter.' },
      ],
    },
  },
  {
    // Tests break values on purpose, and vitest's matchers are typed as any.
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-explicit-any': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      // What a test prints or sorts is its own text.
      '@typescript-eslint/no-base-to-string': 'off',
      '@typescript-eslint/require-array-sort-compare': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
)
