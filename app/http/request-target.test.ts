import { expect, test } from 'vitest'
import { pathAsked } from './request-target.ts'

test.each([
  ['/v1/models?a=b', '/v1/models?a=b'],
  ['//evil.example/sign-in', '//evil.example/sign-in'],
  ['http://gateway/v1/models?a=b', '/v1/models?a=b'],
  ['HTTPS://gateway:443/sign-in', '/sign-in'],
  ['http://gateway', '/'],
  ['http://gateway?a=b', '/?a=b'],
  ['http://[::1/sign-in', '/sign-in'],
  ['http://', '/'],
  ['*', null],
  ['', null],
  ['gateway:443', null],
  ['ftp://gateway/a', null],
])('%j asks for %j', (target, path) => expect(pathAsked(target)).toBe(path))
