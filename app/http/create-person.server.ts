import { hashPassword } from 'better-auth/crypto'
import { identityPrisma } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { newId } from '#app/platform/ids.ts'

/** @throws AppError bad_request on an e-mail or password that cannot be, conflict where the e-mail is taken */
export async function createPerson(input: { name: string; email: string; password: string }): Promise<string> {
  const email = input.email.trim().toLowerCase()
  if (!/^[^\s@]{1,64}@[^\s@]+\.[^\s@]{2,}$/.test(email) || email.length > 254)
    throw new AppError('bad_request', 'invalid_email', 'Give a full e-mail address.', { field: 'email' })
  if (input.password.length < 12 || input.password.length > 200)
    throw new AppError('bad_request', 'weak_password', 'A password has 12 to 200 characters.', { field: 'password' })
  const name = input.name.trim()
  if (!name || name.length > 120)
    throw new AppError('bad_request', 'invalid_name', 'A name has 1 to 120 characters.', { field: 'name' })
  const prisma = identityPrisma()
  if (await prisma.user.findUnique({ where: { email } }))
    throw new AppError('conflict', 'email_taken', 'This e-mail address has an account already.', { field: 'email' })
  const [id, at] = [newId(), new Date()]
  await prisma.user.create({
    data: {
      id,
      name,
      email,
      emailVerified: true,
      updatedAt: at,
      accounts: {
        create: {
          id: newId(),
          accountId: id,
          providerId: 'credential',
          password: await hashPassword(input.password),
          updatedAt: at,
        },
      },
    },
  })
  return id
}
