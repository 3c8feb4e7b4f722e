import { type CSSVariablesResolver, createTheme } from '@mantine/core'

/** One accent, quiet surfaces, system fonts: nothing is loaded from elsewhere. */
export const theme = createTheme({
  primaryColor: 'teal',
  // the lightest shade on which white text, and which on white as text, keeps a contrast of 4.5
  primaryShade: { light: 9, dark: 6 },
  defaultRadius: 'md',
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif',
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, Menlo, Consolas, monospace',
  headings: { fontWeight: '650' },
  components: {
    // standing notes are not read out over everything else; what an action answers says its own role
    Alert: { defaultProps: { role: 'note' } },
    // what is wrong with a field is read out when it appears
    InputError: { defaultProps: { role: 'alert' } },
    PasswordInput: {
      defaultProps: { visibilityToggleButtonProps: { 'aria-label': 'Show or hide what is typed', tabIndex: 0 } },
    },
    // a status is never cut off
    Badge: { styles: { root: { minWidth: 'max-content' } } },
  },
})

/** Quiet text keeps a contrast of 4.5 on every surface that it stands on. */
export const cssVariables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    '--mantine-color-dimmed': 'var(--mantine-color-gray-7)',
    // gray-6 does not, gray-7 looks as if it were typed
    '--mantine-color-placeholder': '#6c757d',
    // under the mouse the theme would take the next lighter shade
    '--mantine-color-teal-filled-hover': '#06684a',
    '--mantine-color-error': 'var(--mantine-color-red-9)',
  },
  dark: {},
})
