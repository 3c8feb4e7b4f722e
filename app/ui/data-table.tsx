import type { ReactNode } from 'react'
import styles from './data-table.module.css'

export interface Column {
  /** Empty over buttons that say by themselves what they do. */
  label: string
  numeric?: boolean
}

export interface Row {
  key: string
  cells: ReactNode[]
}

interface DataTableProps {
  /** For screen readers: what the table holds. */
  caption: string
  columns: Column[]
  rows: Row[]
  footer?: ReactNode[]
}

function Cells({ columns, cells }: { columns: Column[]; cells: ReactNode[] }) {
  return columns.map((column, at) => (
    <td key={column.label} data-label={column.label} className={column.numeric ? styles.numeric : undefined}>
      {cells[at] === null || cells[at] === undefined ? null : <div>{cells[at]}</div>}
    </td>
  ))
}

/** A table that becomes a list of cards on a phone. */
export function DataTable({ caption, columns, rows, footer }: DataTableProps) {
  return (
    <div className={styles.wrap}>
      <table className={styles.table}>
        <caption>{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) =>
              column.label ? (
                <th key={column.label} scope="col" className={column.numeric ? styles.numeric : undefined}>
                  {column.label}
                </th>
              ) : (
                <td key="buttons" />
              ),
            )}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.key}>
              <Cells columns={columns} cells={row.cells} />
            </tr>
          ))}
        </tbody>
        {footer && (
          <tfoot>
            <tr>
              <Cells columns={columns} cells={footer} />
            </tr>
          </tfoot>
        )}
      </table>
    </div>
  )
}
