/** What an answer must never show of our inside. */
export const INSIDE =
  /\bat .+\(.+:\d+:\d+\)|node_modules|\/app\/|\.[tj]s:\d|\b(SELECT|INSERT|UPDATE) |prisma|Prisma|ECONN|postgres|syntax error|22021/
