import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { client, of } from "../api/client";
import type { paths } from "../api/schema";

export type SearchParameters = NonNullable<paths["/api/search"]["get"]["parameters"]["query"]>;

/** A folder or dashboard that was found. */
export type Hit = paths["/api/search"]["get"]["responses"]["200"]["content"]["application/json"][number];

export type Sorting = NonNullable<SearchParameters["sort"]>;

/** The ways in which hits can be sorted. */
export const sortingQuery = queryOptions({
  queryKey: ["search", "sorting"],
  queryFn: async () => (await of(client.GET("/api/search/sorting"))).sortOptions,
  staleTime: Number.POSITIVE_INFINITY,
});

/** The first hits of a search. */
export function searchQuery(parameters: SearchParameters) {
  return queryOptions({
    queryKey: ["search", parameters],
    queryFn: ({ signal }) => of(client.GET("/api/search", { params: { query: parameters }, signal })),
  });
}

const PAGE = 200;

/** All hits of a search, a page at a time. */
export function pagedSearchQuery(parameters: SearchParameters, at: string | undefined) {
  return infiniteQueryOptions({
    queryKey: ["search", "paged", parameters, at],
    queryFn: ({ pageParam, signal }) =>
      of(client.GET("/api/search", { params: { query: { ...parameters, at, page: pageParam, limit: PAGE } }, signal })),
    initialPageParam: 1,
    getNextPageParam: (last, all) => (last.length === PAGE ? all.length + 1 : undefined),
  });
}
