import { expect, test } from 'vitest'
import { isPublicAddress } from './address-guard.ts'

test.each([
  '127.0.0.1',
  '10.1.2.3',
  '172.31.0.1',
  '192.168.1.1',
  '169.254.169.254',
  '100.100.100.200',
  '0.0.0.0',
  '224.0.0.1',
  '255.255.255.255',
  '::1',
  '::',
  'fe80::1',
  'fd00::1',
  '::ffff:127.0.0.1',
  '::ffff:10.0.0.1',
  '64:ff9b::7f00:1',
  '2002:7f00:1::',
  '',
  'localhost',
  undefined,
])('%s is not a place to send a key to', (address) => {
  expect(isPublicAddress(address)).toBe(false)
})

test.each(['104.18.2.115', '8.8.8.8', '2606:4700::6812:273', '::ffff:104.18.2.115'])('%s is public', (address) => {
  expect(isPublicAddress(address)).toBe(true)
})
