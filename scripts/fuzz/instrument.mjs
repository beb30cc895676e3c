// Puts a counter into every branch of the parsers: copies a TypeScript module and everything it imports from this project
// into a folder as JavaScript, with `edges[n]++` at each function, branch, case, loop and short-circuit of the files that
// `counted` matches. Gives the copy's path and the number of counters.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import ts from 'typescript'

/** `entry` and `root` are absolute; the copy keeps paths relative to `root`. */
export function instrument(entry, root, folder, counted) {
  let edges = 0
  const seen = new Set()
  const visit = (file) => {
    if (seen.has(file)) return
    seen.add(file)
    const text = readFileSync(file, 'utf8')
    const name = relative(root, file)
    const transformers = counted.test(name) ? { before: [countBranches(() => edges++)] } : {}
    const compilerOptions = { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true }
    const { outputText } = ts.transpileModule(text, { compilerOptions, transformers, fileName: file })
    const target = join(folder, name.replace(/\.ts$/, '.js'))
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, `const __edges = globalThis.sluiceEdges;\n${outputText}`)
    for (const [, specifier] of outputText.matchAll(/(?:from|import)\s*\(?['"](\.[^'"]+)['"]/g))
      visit(resolve(dirname(file), specifier.replace(/\.js$/, '.ts')))
  }
  visit(entry)
  return { path: join(folder, relative(root, entry).replace(/\.ts$/, '.js')), edges }
}

const countBranches = (next) => (context) => {
  const { factory } = context
  const count = () =>
    factory.createPostfixIncrement(
      factory.createElementAccessExpression(factory.createIdentifier('__edges'), factory.createNumericLiteral(next())),
    )
  const counting = (expression) =>
    factory.createParenthesizedExpression(
      factory.createComma(count(), factory.createParenthesizedExpression(expression)),
    )
  const block = (statement) =>
    ts.isBlock(statement)
      ? factory.updateBlock(statement, [factory.createExpressionStatement(count()), ...statement.statements])
      : factory.createBlock([factory.createExpressionStatement(count()), statement])
  const visit = (original) => {
    const node = ts.visitEachChild(original, visit, context)
    if (ts.isArrowFunction(node)) {
      const body = ts.isBlock(node.body) ? block(node.body) : counting(node.body)
      const { modifiers, typeParameters, parameters, type, equalsGreaterThanToken } = node
      return factory.updateArrowFunction(
        node,
        modifiers,
        typeParameters,
        parameters,
        type,
        equalsGreaterThanToken,
        body,
      )
    }
    if (ts.isFunctionDeclaration(node) && node.body) {
      const { modifiers, asteriskToken, name, typeParameters, parameters, type, body } = node
      const more = [modifiers, asteriskToken, name, typeParameters, parameters, type]
      return factory.updateFunctionDeclaration(node, ...more, block(body))
    }
    if (ts.isMethodDeclaration(node) && node.body) {
      const { modifiers, asteriskToken, name, questionToken, typeParameters, parameters, type, body } = node
      const more = [modifiers, asteriskToken, name, questionToken, typeParameters, parameters, type]
      return factory.updateMethodDeclaration(node, ...more, block(body))
    }
    if (ts.isIfStatement(node)) {
      const otherwise = node.elseStatement
        ? block(node.elseStatement)
        : factory.createBlock([factory.createExpressionStatement(count())])
      return factory.updateIfStatement(node, node.expression, block(node.thenStatement), otherwise)
    }
    if (ts.isForStatement(node))
      return factory.updateForStatement(node, node.initializer, node.condition, node.incrementor, block(node.statement))
    if (ts.isForOfStatement(node))
      return factory.updateForOfStatement(
        node,
        node.awaitModifier,
        node.initializer,
        node.expression,
        block(node.statement),
      )
    if (ts.isWhileStatement(node)) return factory.updateWhileStatement(node, node.expression, block(node.statement))
    if (ts.isConditionalExpression(node)) {
      const { condition, questionToken, whenTrue, colonToken, whenFalse } = node
      const more = [questionToken, counting(whenTrue), colonToken, counting(whenFalse)]
      return factory.updateConditionalExpression(node, condition, ...more)
    }
    if (ts.isBinaryExpression(node) && SHORT_CIRCUITS.includes(node.operatorToken.kind))
      return factory.updateBinaryExpression(node, node.left, node.operatorToken, counting(node.right))
    if (ts.isCaseClause(node))
      return factory.updateCaseClause(node, node.expression, [
        factory.createExpressionStatement(count()),
        ...node.statements,
      ])
    if (ts.isDefaultClause(node))
      return factory.updateDefaultClause(node, [factory.createExpressionStatement(count()), ...node.statements])
    return node
  }
  return (source) => ts.visitNode(source, visit)
}

const { AmpersandAmpersandToken, BarBarToken, QuestionQuestionToken } = ts.SyntaxKind
const SHORT_CIRCUITS = [AmpersandAmpersandToken, BarBarToken, QuestionQuestionToken]
