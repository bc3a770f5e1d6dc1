import type { Me } from "../session/session";
import { AuditIcon, DashboardIcon, HomeIcon, OrgIcon, PeopleIcon, ServerIcon, TrashIcon, UserIcon } from "../ui/icons";

/** A page that can be reached from everywhere. */
export interface Destination {
  to: string;
  label: string;
  /** Under what it stands, if anything. */
  group?: string;
  icon: (props: { size?: number }) => React.ReactNode;
  /** Other words by which somebody may look for it. */
  keywords: string;
  isFor: (me: Me) => boolean;
}

const everybody = () => true;
const members = (me: Me) => me.org !== undefined;

export const DESTINATIONS: Destination[] = [
  { to: "/", label: "Overview", icon: HomeIcon, keywords: "home activity quota", isFor: everybody },
  {
    to: "/dashboards",
    label: "Dashboards",
    icon: DashboardIcon,
    keywords: "folders import tags starred",
    isFor: members,
  },
  {
    to: "/trash",
    label: "Trash",
    icon: TrashIcon,
    keywords: "deleted restore",
    isFor: (me) => me.isEditor,
  },
  { to: "/people", label: "People", icon: PeopleIcon, keywords: "members users roles", isFor: (me) => me.isAdmin },
  {
    to: "/audit",
    label: "Audit log",
    icon: AuditIcon,
    keywords: "history who changed export",
    isFor: (me) => me.isAdmin,
  },
  {
    to: "/admin/orgs",
    label: "Organizations",
    group: "Server",
    icon: OrgIcon,
    keywords: "tenants quotas",
    isFor: (me) => me.isServerAdmin,
  },
  {
    to: "/admin/users",
    label: "Users",
    group: "Server",
    icon: UserIcon,
    keywords: "accounts password disable",
    isFor: (me) => me.isServerAdmin,
  },
  {
    to: "/admin/stats",
    label: "Statistics",
    group: "Server",
    icon: ServerIcon,
    keywords: "counts",
    isFor: (me) => me.isServerAdmin,
  },
];
